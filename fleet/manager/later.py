"""An answer that comes when somebody else has spoken, for which no thread of the server waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from wsgiref.types import StartResponse, WSGIEnvironment

from compose_agent.web.response import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Later(Response):
    """Is itself the answer when nothing has come within ``seconds``; ``coming`` is cancelled then."""

    coming: Future[Response] = field(default_factory=Future)
    seconds: float

    async def arrived(self) -> Response:
        """Return the answer, on the loop."""
        try:
            async with asyncio.timeout(self.seconds):
                return await asyncio.wrap_future(self.coming)
        except TimeoutError:
            return self.without()

    def awaited(self) -> Response:
        """Return the answer, in a thread that may wait."""
        try:
            return self.coming.result(self.seconds)
        except (TimeoutError, CancelledError):
            self.coming.cancel()
            return self.without()

    def without(self) -> Response:
        """Return the answer for when nothing has come."""
        return Response(self.status, self.body, self.content_type, self.headers)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it as a WSGI application, once it is there."""
        return self.awaited()(environ, start_response)
