"""Server-sent events (WHATWG HTML, 9.2): a page's changing parts, sent whenever they are different.

``GET /events?view=ADDRESS`` follows the page at an address relative to the manager's, as ``node?id=web-1``.
What is sent is what ``ADDRESS&fragment=1`` answers at that moment to the same person, so a page shows nothing
that it would not show when it is asked for, and a right that is taken away ends the stream.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.types import WSGIEnvironment

from compose_agent.web.compression import GZIP_LEVEL, accepts_gzip
from compose_agent.web.page.pages import HTML
from compose_agent.web.response import Response
from fleet.manager.page.pulse import Pulse

EVENTS = "/events"
# Ages are shown in seconds, and nobody reads faster than this.
AGES_SECONDS = 2.0
# A storm of changes is shown four times a second.
_PAUSE_SECONDS = 0.25
# A page that nothing comes for this long says that the manager has fallen silent (live.js).
_ALIVE_SECONDS = 15.0
# A browser that does not take what it is sent holds memory.
_SEND_SECONDS = 20.0
# Each makes its page anew every two seconds.
MOST_STREAMS = 100
_RETRY = b"retry: 2000\n\n"
_ALIVE = b"event: alive\ndata:\n\n"
_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
_GZIP_WINDOW = zlib.MAX_WBITS | 16

# Returns what is answered to a request.
Render = Callable[[WSGIEnvironment], Awaitable[Response]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Events:
    """Serves streams of what ``render`` answers; ``stopping`` tells that the manager goes away."""

    def __init__(self, render: Render, pulse: Pulse, stopping: Callable[[], bool]) -> None:
        self._render = render
        self._pulse = pulse
        self._stopping = stopping
        self.open = 0

    async def first(self, environ: WSGIEnvironment) -> Response:
        """Return the page that a request wants to follow, as it is now, or why there is none to follow."""
        if self.open >= MOST_STREAMS:
            return Response.text(503, f"{MOST_STREAMS} pages are followed already", ("Retry-After", "30"))
        answer = await self._render(view_of(environ))
        if answer.status == 200 and answer.content_type != HTML:
            return Response.text(404, "there is no page at that address")
        return answer

    async def stream(self, environ: WSGIEnvironment, first: Response, receive: Receive, send: Send) -> None:
        """Send what ``first`` returned, and what it becomes, until the connection or the right to it ends."""
        packer = _Packer() if accepts_gzip(str(environ.get("HTTP_ACCEPT_ENCODING", ""))) else _Plain()
        head = [*_HEADERS, *packer.headers]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        gone = asyncio.create_task(_hung_up(receive))
        self.open += 1
        try:
            async for data in self._pieces(view_of(environ), first, gone):
                async with asyncio.timeout(_SEND_SECONDS):
                    await send({"type": "http.response.body", "body": packer.pack(data), "more_body": True})
            await send({"type": "http.response.body", "body": packer.end()})
        except TimeoutError:
            return  # the server closes what has no end
        finally:
            self.open -= 1
            gone.cancel()

    async def _pieces(
        self, view: WSGIEnvironment, first: Response, gone: asyncio.Task[None]
    ) -> AsyncIterator[bytes]:
        answer, shown, told = first, b"", time.monotonic()
        yield _RETRY
        with self._pulse.felt() as changed:
            gone.add_done_callback(lambda _task: changed.set())
            while answer.status == 200 and not gone.done() and not self._stopping():
                if answer.body != shown:
                    shown, told = answer.body, time.monotonic()
                    yield fragment(shown)
                elif time.monotonic() - told >= _ALIVE_SECONDS:
                    told = time.monotonic()
                    yield _ALIVE
                await asyncio.sleep(_PAUSE_SECONDS)
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), AGES_SECONDS - _PAUSE_SECONDS)
                changed.clear()
                answer = await self._render(dict(view))


async def _hung_up(receive: Receive) -> None:
    """Return when the client is gone; it sends nothing more meanwhile."""
    while (await receive())["type"] != "http.disconnect":
        pass


def view_of(environ: WSGIEnvironment) -> WSGIEnvironment:
    """Return the request for the changing parts of the page that a request wants to follow."""
    wanted = parse_qs(str(environ.get("QUERY_STRING", "")), errors="replace").get("view", [""])[-1]
    address = urlsplit(f"/{wanted.lstrip('/')}")
    query = f"{address.query}&fragment=1".lstrip("&")
    # The stream is compressed as a whole.
    kept = {key: value for key, value in environ.items() if key != "HTTP_ACCEPT_ENCODING"}
    return {**kept, "REQUEST_METHOD": "GET", "PATH_INFO": address.path, "QUERY_STRING": query}


def fragment(body: bytes) -> bytes:
    """Return parts of a page as one event."""
    lines = b"".join(b"data: %s\n" % line for line in body.splitlines())
    return b"event: fragment\n%s\n" % lines


class _Plain:
    """What is sent as it is."""

    headers: Sequence[tuple[bytes, bytes]] = ()

    def pack(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


class _Packer(_Plain):
    """gzip, of which the other end can unpack each piece as soon as it has it."""

    headers = ((b"content-encoding", b"gzip"),)

    def __init__(self) -> None:
        self._packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)

    def pack(self, data: bytes) -> bytes:
        return self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._packer.flush()
