"""The Engine's answer to a request that somebody else asked for, as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from compose_agent.errors import EngineGarbage, EngineUnreachable

if TYPE_CHECKING:
    from compose_agent.dockerd.answer import Answer


class Passage:
    """An answer whose body is still to be read: ``close`` it from any thread, everything else from one."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.status = answer.status

    def header(self, name: str) -> str | None:
        """Return a header of the answer."""
        return self._answer.headers.get(name)

    def wait_for_ever(self) -> None:
        """Take the deadline from the rest of the answer: silence is normal in a stream."""
        self._answer.endless()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body piece by piece as it arrives; EngineUnreachable when it breaks off.

        However it ends, the connection is given back, or closed when something of the answer is left.
        """
        try:
            yield from self._answer.pieces()
        except (OSError, ValueError) as error:
            raise EngineUnreachable(f"the Engine's answer broke off ({error})") from error
        finally:
            self._answer.close()

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
        self._answer.abort()
