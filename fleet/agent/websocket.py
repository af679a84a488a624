"""The link over WebSocket: both sides speak whenever they have something to say."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from fleet.agent.path import watch
from fleet.agent.sharedtls import SharedTls
from fleet.agent.transport import CONNECT_SECONDS, LinkError, Target, is_refusal, retry_after
from fleet.opamp.frames import MAX_MESSAGE_BYTES, MalformedMessage, from_frame, to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

# A manager that hangs is noticed within the two together; see fleet.agent.path for paths that do.
_PING_EVERY_SECONDS = 15.0
_PONG_WITHIN_SECONDS = 10.0
_CLOSE_SECONDS = 2.0


class WatchedConnection(ClientConnection):
    """A connection whose path is watched already during the handshake, and that ends when it is closed.

    The library's own one has two threads in TLS at the same time (:mod:`fleet.agent.sharedtls`). And it waits
    for its reader, which may hang in a record that is no message (tickets come right behind the handshake):
    a manager that takes the connection and says nothing would hold the link until the watchdog comes.
    """

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        watch(sock)
        shared: Any = SharedTls(sock) if isinstance(sock, ssl.SSLSocket) else sock
        super().__init__(shared, *arguments, **options)

    def close_socket(self) -> None:
        """End the connection, and with it whatever still reads from it."""
        with suppress(OSError):  # it has ended already
            self.socket.shutdown(socket.SHUT_RDWR)
        super().close_socket()


class WebSocketTransport:
    """See :class:`fleet.agent.transport.Transport`."""

    name = "websocket"
    polls = False

    def __init__(self, target: Target) -> None:
        self._target = target
        self._held = ExitStack()
        self._connection: ClientConnection | None = None
        self.local_address = ""

    def open(self) -> None:
        """Connect, with the proxy of the environment if there is one."""
        try:
            opened = connect(
                self._target.url,
                ssl=self._target.tls if self._target.url.startswith("wss:") else None,
                additional_headers=self._target.headers,
                compression=None,
                open_timeout=CONNECT_SECONDS,
                ping_interval=_PING_EVERY_SECONDS,
                ping_timeout=_PONG_WITHIN_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                max_size=MAX_MESSAGE_BYTES + 1,
                create_connection=WatchedConnection,
            )
            self._connection = self._held.enter_context(opened)
        except InvalidStatus as error:
            response = error.response
            pause = retry_after(response.headers.get("Retry-After"))
            what = f"the manager answers with status {response.status_code}"
            raise LinkError(
                f"{what}{_reason(response.body)}", pause=pause, refused=response.status_code == 401
            ) from error
        except (OSError, TimeoutError, WebSocketException) as error:
            what = f"cannot connect to {self._target.url}: {_words(error)}"
            raise LinkError(what, refused=is_refusal(error)) from error
        self.local_address = str(self._connection.socket.getsockname()[0])

    def send(self, message: AgentToServer) -> None:
        """Send a message."""
        try:
            self._open_connection.send(to_frame(message))
        except (OSError, WebSocketException) as error:
            raise LinkError(_words(error)) from error

    def receive(self, timeout: float) -> ServerToAgent | None:
        """Return the next message."""
        try:
            data = self._open_connection.recv(timeout)
        except TimeoutError:
            return None
        except (OSError, WebSocketException) as error:
            raise LinkError(_words(error), refused=is_refusal(error)) from error
        if isinstance(data, str):
            raise LinkError("the manager sends text, which is no OpAMP")
        try:
            return from_frame(ServerToAgent, data)
        except MalformedMessage as error:
            raise LinkError(f"the manager sends no OpAMP: {error}") from error

    def close(self) -> None:
        """End the connection with a goodbye, as far as that is still possible."""
        self._connection = None
        with suppress(OSError, WebSocketException):
            self._held.close()

    @property
    def _open_connection(self) -> ClientConnection:
        if self._connection is None:
            raise LinkError("the connection is closed")
        return self._connection


def _reason(body: bytes | bytearray | None) -> str:
    first = (body or b"").decode("utf-8", "replace").partition("\n")[0].strip()[:200]
    return f": {first}" if first else ""


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionClosed):
        return f"the connection has ended: {error}"
    return str(error) or type(error).__name__
