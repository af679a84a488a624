"""Who is at the other end of a socket, and the log of what they were refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from wsgiref.types import WSGIEnvironment

from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.webconfig import RateLimit

logger = logging.getLogger(__name__)

# Whoever knocks without end is counted in the metrics; the log shows enough to find out who it is.
_LOGGED = RateLimit(interval=1.0, burst=20)


def peer_of(environ: WSGIEnvironment) -> dict[str, str]:
    """Return process, user and group of the client as the kernel says, for the log."""
    return {name: str(environ.get(f"X_REMOTE_{name.upper()}", "")) for name in ("pid", "uid", "gid")}


class RefusalLog:
    """Writes down refusals with who was refused, once a second at most when there are many."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._bucket = TokenBucket(_LOGGED, clock)

    def note(self, environ: WSGIEnvironment, socket: str, reason: str) -> None:
        """Take note of a request on ``socket`` that was refused; of what it asked nothing is repeated."""
        if self._bucket.take():
            logger.warning("refused", extra={"socket": socket, "reason": reason, **peer_of(environ)})
