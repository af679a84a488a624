"""A server of OpAMP that a test scripts, for the agent's half of the protocol: WebSocket and plain HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from fleet.agent.conversation import Conversation
from fleet.agent.identity import Identity
from fleet.agent.link import Link, Parts
from fleet.agent.polling import PollingTransport
from fleet.agent.transport import Target
from fleet.agent.websocket import WebSocketTransport
from fleet.opamp.frames import from_body, from_frame, to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

Answer = Callable[[AgentToServer], ServerToAgent | None]

STATUS, FULL_STATE, CONFIG = 0x1, 0x1, 0x4


def plainly(message: AgentToServer) -> ServerToAgent:
    """Answer a message with nothing but its receipt, as a server that takes configurations does."""
    return ServerToAgent(instance_uid=message.instance_uid, capabilities=STATUS | CONFIG)


@dataclass
class Server:
    """What an agent has said so far; ``answer`` is what it gets, None for nothing."""

    answer: Answer = plainly
    url: str = ""
    messages: list[AgentToServer] = field(default_factory=list)
    # Of each connection that has ended over WebSocket: its close code; of each request: its headers.
    codes: list[int] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def converse(self, connection: ServerConnection) -> None:
        """Serve a connection."""
        try:
            while True:
                data = connection.recv()
                assert isinstance(data, bytes)
                message = from_frame(AgentToServer, data)
                self.messages.append(message)
                if (reply := self.answer(message)) is not None:
                    connection.send(to_frame(reply))
        except ConnectionClosed as closed:
            self.codes.append(closed.rcvd.code if closed.rcvd else 1006)


@contextmanager
def speaking(answer: Answer = plainly) -> Iterator[Server]:
    """Serve WebSocket."""
    server = Server(answer)
    with serve(server.converse, "127.0.0.1", 0, compression=None) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        server.url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/v1/opamp"
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


@contextmanager
def polled(answer: Answer = plainly) -> Iterator[Server]:
    """Serve plain HTTP."""
    server = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            message = from_body(AgentToServer, body)
            server.messages.append(message)
            server.requests.append({name.lower(): value for name, value in self.headers.items()})
            reply = (server.answer(message) or ServerToAgent()).SerializeToString()
            server.at_once -= 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        server.url = f"http://127.0.0.1:{listener.server_address[1]}/v1/opamp"
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


@dataclass
class Host:
    """What the agent of a test tells: a status that the test may change."""

    healthy: bool = True
    config: bytes = b"log.level: info\n" * 100

    def report(self) -> AgentToServer:
        """Return it as the parts of a message."""
        message = AgentToServer()
        attribute = message.agent_description.identifying_attributes.add()
        attribute.key, attribute.value.string_value = "service.name", "scripted"
        message.health.healthy = self.healthy
        message.effective_config.config_map.config_map["compose-agent.yml"].body = self.config
        return message


@dataclass
class Linked:
    """A running link and what it belongs to."""

    link: Link
    identity: Identity
    host: Host


@contextmanager
def linked(state_dir: Path, server: Server, interval: float = 30.0) -> Iterator[Linked]:
    """Run an agent's link to ``server``; at the end it says goodbye."""
    identity, host, target = Identity(state_dir), Host(), Target(server.url)
    intervals = [interval]
    parts = Parts(
        websocket=lambda: WebSocketTransport(target),
        polling=lambda: PollingTransport(target),
        converse=lambda number: Conversation(identity, host.report, number),
        begin=lambda _transport: None,
        interval=lambda: intervals[-1],
        set_interval=intervals.append,
        heard=lambda _reply: None,
    )
    link = Link(parts, polls_only=target.polls)
    link.start()
    try:
        yield Linked(link, identity, host)
    finally:
        link.stop(10.0)
