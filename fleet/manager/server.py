"""uvicorn in a thread of its own: the event loop of everything that the manager serves over TCP."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable

import uvicorn

from compose_agent.address import Address
from compose_agent.web.listen import BACKLOG, listen_tcp
from compose_agent.web.webfile import WebConfigFile
from fleet.manager.app import App
from fleet.manager.peercert import Protocol
from fleet.opamp.frames import MAX_MESSAGE_BYTES

logger = logging.getLogger(__name__)

# A peer that is gone without a word is noticed within the two together, before its heartbeat is missed twice.
PING_EVERY_SECONDS = 20.0
PONG_WITHIN_SECONDS = 20.0
_START_SECONDS = 30.0
_STOP_SECONDS = 5
# What asyncio holds for each TLS connection to read into, 256 KiB unless it is told otherwise: gigabytes for
# ten thousand agents, whose messages have some tens of bytes. A record of TLS has 16 KiB; longer messages are
# read in as many turns as they take.
_TLS_BUFFER_BYTES = 16 * 1024


class Server:
    """Serves ``app`` on several addresses; ``tick`` is called every ``every`` seconds on its loop.

    ``late`` is told by how many seconds each call came too late: by so much agents waited too. ``proxies``
    are the addresses and networks that are believed for whom they pass a request on.
    """

    def __init__(
        self,
        app: App,
        web: WebConfigFile | None,
        tick: Callable[[], None],
        every: float,
        *,
        late: Callable[[float], None],
        proxies: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._proxies = tuple(proxies)
        self._web = web
        self._tick = tick
        self._every = every
        self._late = late
        self._sockets: list[socket.socket] = []
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def bind(self, addresses: Iterable[Address]) -> None:
        """Bind every address; raises ListenError, and then none is."""
        try:
            for address in addresses:
                self._sockets.append(listen_tcp(address))
        except BaseException:
            self._close()
            raise

    def start(self) -> None:
        """Serve on what is bound."""
        # It would write a line for each connection, of which there are thousands.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self._server = uvicorn.Server(self._config())
        self._thread = threading.Thread(target=self._run, name="manager-loop", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close every connection with the code that means "I am back soon", and end."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(_START_SECONDS)
        self._close()

    def urls(self) -> tuple[str, ...]:
        """Return the URL of each listener."""
        scheme = "https" if self._context() else "http"
        return tuple(f"{scheme}://{_shown(sock)}" for sock in self._sockets)

    def error(self) -> str:
        """Return why nothing is served any more, empty while it is."""
        return "" if self._failure is None else f"the server has ended: {self._failure!r}"

    def _config(self) -> uvicorn.Config:
        context = self._context()
        return uvicorn.Config(
            self._app,
            loop="asyncio",
            http=Protocol,
            proxy_headers=bool(self._proxies),
            forwarded_allow_ips=list(self._proxies),
            ws="websockets-sansio",
            ws_max_size=MAX_MESSAGE_BYTES + 1,  # and a header
            ws_ping_interval=PING_EVERY_SECONDS,
            ws_ping_timeout=PONG_WITHIN_SECONDS,
            ws_per_message_deflate=False,  # it costs 40 KiB for each agent, to make 25 bytes shorter
            lifespan="off",
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
            ssl_context_factory=(lambda _config, _default: context) if context else None,
        )

    def _context(self) -> ssl.SSLContext | None:
        if self._web is None or self._web.current().context is None:
            return None
        context = self._web.current().context
        assert context is not None  # noqa: S101 - it cannot go while the listener is open
        context.sni_callback = self._newest
        asyncio.sslproto.SSLProtocol.max_size = _TLS_BUFFER_BYTES
        return context

    def _newest(self, connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        """Have each handshake use the certificate that is in its file now."""
        if self._web and (context := self._web.current().context):
            connection.context = context

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            logger.exception("the manager's server has ended")

    async def _serve(self) -> None:
        assert self._server is not None  # noqa: S101 - made by start
        ticking = asyncio.create_task(self._ticks())
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            ticking.cancel()

    async def _ticks(self) -> None:
        while True:
            due = time.monotonic() + self._every
            await asyncio.sleep(self._every)
            self._late(max(0.0, time.monotonic() - due))
            try:
                self._tick()
            except Exception:  # the next one must come: without any, who is silent stays online
                logger.exception("a sweep over the nodes failed")

    def _close(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets = []


def _shown(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return str(Address(host, port))
