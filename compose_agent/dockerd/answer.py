"""An answer of the Engine, as it comes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import DecodeError, HTTPError
from urllib3.exceptions import TimeoutError as LateError

# Most of what the Engine writes at once is smaller; more is only what arrived meanwhile.
_PIECE_BYTES = 64 * 1024


class Answer:
    """An answer of which the head is there: read it in one thread, ``abort`` it from any.

    ``target`` is what was asked for: path and query. Leaving ``with`` gives the connection back, or closes it
    when something of the answer is left. Reading raises OSError when the connection breaks (TimeoutError when
    the answer is late) and ValueError when the body is none.
    """

    def __init__(self, raw: BaseHTTPResponse, target: str) -> None:
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self.target = target
        self._raw = raw
        self._connection: Any = raw.connection
        # http.client forgets the socket of an answer that is the last on its connection.
        sock = getattr(self._connection, "opened", None) or getattr(self._connection, "sock", None)
        self._socket: socket.socket | None = sock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self) -> bytes:
        """Return the body, or what is left of it; the connection is kept for another answer."""
        with plain_errors():
            return self._raw.read(decode_content=True)

    def json(self) -> Any:
        """Return the document in the body; json.JSONDecodeError for what is none, RecursionError as well.

        A byte that is no UTF-8 is replaced: one container's must not spoil a list of all.
        """
        return json.loads(self.read().decode("utf-8", "replace"))

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as the Engine cuts it, each chunk as soon as it is whole."""
        with plain_errors():
            yield from self._raw.stream(None, decode_content=True)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it was sent, piece by piece as it arrives."""
        with plain_errors():
            yield from self._raw.stream(_PIECE_BYTES, decode_content=False)

    def endless(self) -> None:
        """Take the deadline from the rest of the answer: silence is normal in a stream."""
        if self._socket is not None:
            with suppress(OSError):  # it is closed: nothing of the answer is left
                self._socket.settimeout(None)
            # Who ends it from outside must not meet another answer on the same connection.
            self._connection.for_one = True

    def abort(self) -> None:
        """End it now; a read in another thread stops."""
        # One that was read to its end has no connection: by now that may be another answer's.
        if self._socket is not None and self._raw.connection is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the connection back, or close it when something of the answer is left."""
        self._raw.close()
        self._raw.release_conn()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn urllib3's errors into Python's own: OSError, TimeoutError, ValueError."""
    try:
        yield
    except LateError as error:
        raise TimeoutError(str(error)) from error
    except DecodeError as error:
        raise ValueError(str(error)) from error
    except HTTPError as error:
        raise ConnectionError(str(error)) from error
