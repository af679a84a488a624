"""The Engine's answer to a request that somebody else asked for, as it comes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from compose_agent.errors import EngineGarbage, EngineUnreachable

if TYPE_CHECKING:
    import requests

# The Engine writes some KB at a time; more is only what arrived meanwhile.
_PIECE_BYTES = 64 * 1024


class Passage:
    """An answer whose body is still to be read: ``close`` it from any thread, everything else from one."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._connection: Any = response.raw.connection
        self._socket: socket.socket | None = getattr(self._connection, "sock", None)
        self.status: int = response.status_code

    def header(self, name: str) -> str | None:
        """Return a header of the answer."""
        value: str | None = self._response.headers.get(name)
        return value

    def wait_for_ever(self) -> None:
        """Take the deadline from the rest of the answer: silence is normal in a stream."""
        if self._socket is not None:
            self._socket.settimeout(None)
            # Closing it from outside must not meet another answer on the same connection.
            self._connection.for_one = True

    def chunks(self) -> Iterator[bytes]:
        """Yield the body piece by piece as it arrives; EngineUnreachable when it breaks off.

        However it ends, the connection is given back, or closed when something of the answer is left.
        """
        try:
            yield from self._response.raw.stream(_PIECE_BYTES, decode_content=False)
        except (HTTPError, OSError, ValueError) as error:
            raise EngineUnreachable(f"the Engine's answer broke off ({error})") from error
        finally:
            self._response.close()

    def body(self, most: int) -> bytes:
        """Return the whole body; EngineGarbage when it has more than ``most`` bytes."""
        pieces = bytearray()
        for piece in self.chunks():
            pieces += piece
            if len(pieces) > most:
                self.close()
                raise EngineGarbage(f"the Engine's answer has more than {most} bytes")
        return bytes(pieces)

    def close(self) -> None:
        """End it now; a read in another thread stops."""
        # One that was read to its end has no connection: by now that may be another answer's.
        if self._socket is not None and self._response.raw.connection is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
