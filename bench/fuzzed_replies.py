"""What an agent makes of answers that are damaged, random, or never content."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.server import ServerConnection, serve

from bench.fuzzed_messages import frame
from fleet.agent.conversation import Conversation, Orders
from fleet.agent.custom import Custom
from fleet.agent.identity import Identity
from fleet.agent.link import Link, Parts
from fleet.agent.transport import Target
from fleet.agent.websocket import WebSocketTransport
from fleet.opamp.frames import MalformedMessage, from_frame, to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

_LONGEST_INTERVAL_SECONDS = 86_400.0
_LONGEST_PAUSE_SECONDS = 600.0
_LONGEST_ERROR = 1000
_SHOWN = 20
# For the part with a real link: how long it is tormented, and within what it has to be back.
_TORMENT_SECONDS = 10.0
_BACK_SECONDS = 60.0


class _Handler:
    """A part that takes custom messages."""

    def __init__(self) -> None:
        self.taken = 0

    def connected(self) -> None:
        """Hear of a connection."""

    def take(self, _kind: str, _data: bytes) -> None:
        """Take a message."""
        self.taken += 1


def agent_in_process(folder: Path, seed: int, numbers: Sequence[int]) -> dict[str, Any]:
    """Give answers to a conversation, and what it says back to nobody; return figures."""
    kinds: Counter[str] = Counter()
    wrong: list[tuple[int, str]] = []
    identity = Identity(folder / "agent")
    handler, custom = _Handler(), Custom(lambda _message: True)
    custom.register("io.compose-agent.command/v1", handler)
    conversation = Conversation(identity, AgentToServer)
    for number in numbers:
        try:
            reply = from_frame(ServerToAgent, frame("server", seed, number))
        except MalformedMessage:
            kinds["malformed"] += 1
            continue
        try:
            orders = conversation.take(reply)
            custom.heard(reply)
            to_frame(conversation.numbered(conversation.heartbeat()))
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            wrong.append((number, repr(error)))
            continue
        kinds["taken"] += 1
        if not _is_sane(orders):
            wrong.append((number, str(orders)[:200]))
    return {
        "answers": dict(kinds),
        "custom_messages": handler.taken,
        "wrong": wrong[:_SHOWN],
        "wrong_in_all": len(wrong),
    }


def _is_sane(orders: Orders) -> bool:
    """Tell whether an agent that follows these orders goes on to speak."""
    return (
        (orders.interval is None or 1 <= orders.interval <= _LONGEST_INTERVAL_SECONDS)
        and (orders.pause is None or 0 < orders.pause <= _LONGEST_PAUSE_SECONDS)
        and len(orders.error) <= _LONGEST_ERROR
    )


class _Tormentor:
    """A server that answers each message with several of ours, until it is honest."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.sent = self.heard = 0
        self.honest = False

    def __call__(self, connection: ServerConnection) -> None:
        try:
            for data in connection:
                self.heard += 1
                if not self.honest:
                    self._torment(connection)
                message = from_frame(AgentToServer, data if isinstance(data, bytes) else b"")
                connection.send(to_frame(ServerToAgent(instance_uid=message.instance_uid)))
        except (WebSocketException, OSError):
            pass

    def _torment(self, connection: ServerConnection) -> None:
        for _ in range(20):
            self.sent += 1
            data = frame("server", self._seed, self.sent)
            # Its pauses are kept to, as they must be, and nothing would go on here meanwhile.
            if not _pauses(data):
                connection.send(data)


def _pauses(data: bytes) -> bool:
    try:
        return from_frame(ServerToAgent, data).HasField("error_response")
    except MalformedMessage:
        return False


def agent_over_sockets(folder: Path, seed: int) -> dict[str, Any]:
    """Torment a real link for a while; return figures, and whether it speaks with the server afterwards."""
    tormentor = _Tormentor(seed)
    with serve(tormentor, "127.0.0.1", 0, compression=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        link = _link(folder, f"ws://127.0.0.1:{server.socket.getsockname()[1]}/agent")
        link.start()
        time.sleep(_TORMENT_SECONDS)
        tormentor.honest = True
        heard = tormentor.heard
        connected = _until(lambda: link.status.connected and tormentor.heard > heard)
        link.stop(5.0)
    return {"sent": tormentor.sent, "heard": tormentor.heard, "connected_afterwards": connected}


def _link(folder: Path, url: str) -> Link:
    identity = Identity(folder / "linked")
    return Link(
        Parts(
            websocket=lambda: WebSocketTransport(Target(url)),
            polling=lambda: WebSocketTransport(Target(url)),
            converse=lambda number: Conversation(identity, AgentToServer, number),
            begin=lambda _transport: None,
            interval=lambda: 1.0,
            set_interval=lambda _seconds: None,
            heard=lambda _reply: None,
        ),
        polls_only=False,
    )


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _BACK_SECONDS
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()
