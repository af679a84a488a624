"""Custom messages between a real agent and a real manager, and with agents that know nothing of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import resolve
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.role import ConfigState
from fleet.agent.role import AgentRole
from fleet.manager.model import Node
from fleet.manager.pusher import MOST_WAITING
from tests.fleet.manager.serving import HandAgent, Manager, layer_of, serving, until

CAPABILITY = "com.example.echo.v1"


class Desk:
    """The manager's part: keeps what comes."""

    def __init__(self) -> None:
        self.arrivals: list[bytes] = []
        self.taken: list[tuple[str, bytes]] = []

    def arrived(self, node: Node) -> None:
        self.arrivals.append(node.uid)

    def take(self, node: Node, kind: str, data: bytes) -> None:
        assert node.uid in self.arrivals
        self.taken.append((kind, data))


class Echo:
    """The agent's part: keeps what comes."""

    def __init__(self) -> None:
        self.connections = 0
        self.taken: list[tuple[str, bytes]] = []

    def connected(self) -> None:
        self.connections += 1

    def take(self, kind: str, data: bytes) -> None:
        self.taken.append((kind, data))


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def manager(tmp_path: Path, desk: Desk) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        running.role._custom.register(CAPABILITY, desk)
        yield running


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def an_agent(stack: ExitStack, tmp_path: Path, url: str, echo: Echo) -> AgentRole:
    engine = stack.enter_context(FakeEngine(tmp_path / "docker.sock"))
    given = {
        "state-dir": str(tmp_path / "agent"),
        "docker.host": engine.url,
        "agent.manager-url": url,
        "agent.heartbeat-interval": "1s",
    }
    role = AgentRole(resolve(SCHEMA, [layer_of(given)]), ConfigState(), lambda _config: ["agent"])
    role._custom.register(CAPABILITY, echo)
    role.start()
    stack.callback(role.stop)
    return role


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_messages_go_both_ways(
    tmp_path: Path, stack: ExitStack, manager: Manager, desk: Desk, scheme: str
) -> None:
    echo = Echo()
    url = manager.url.replace("http", scheme, 1) + "/agent"
    role = an_agent(stack, tmp_path, url, echo)
    until(lambda: desk.arrivals and echo.connections)
    uid = desk.arrivals[0]
    for number in range(5):
        assert manager.role._custom.send(uid, CAPABILITY, "question", b"%d" % number)
    until(lambda: len(echo.taken) == 5)
    assert [data for _, data in echo.taken] == [b"0", b"1", b"2", b"3", b"4"]
    assert role._custom.send(CAPABILITY, "answer", b"42")
    until(lambda: desk.taken == [("answer", b"42")])


def test_who_does_not_have_the_capability_is_sent_nothing(manager: Manager, desk: Desk) -> None:
    agent = HandAgent(manager, "foreign")
    agent.say(described=True)
    assert not manager.role._custom.send(agent.uid, CAPABILITY, "question", b"")
    assert not manager.role._custom.send(b"nobody-at-all-16", CAPABILITY, "question", b"")
    message = agent.message()
    message.custom_message.capability = "com.example.unknown"
    assert not agent.say(message).HasField("error_response")
    assert (desk.arrivals, desk.taken) == ([], [])


def with_capability(manager: Manager) -> HandAgent:
    agent = HandAgent(manager, "by hand")
    message = agent.message(described=True)
    message.custom_capabilities.capabilities.append(CAPABILITY)
    assert CAPABILITY in agent.say(message).custom_capabilities.capabilities
    return agent


def test_who_is_switched_off_or_gone_is_sent_nothing(manager: Manager, desk: Desk) -> None:
    agent = with_capability(manager)
    custom = manager.role._custom
    assert custom.send(agent.uid, CAPABILITY, "question", b"1")
    assert agent.hear().custom_message.data == b"1"
    manager.local("POST", "/api/v1/nodes/by%20hand/disable")
    assert not custom.send(agent.uid, CAPABILITY, "question", b"2")
    manager.local("POST", "/api/v1/nodes/by%20hand/enable")
    agent.connection.close()
    until(lambda: not custom.send(agent.uid, CAPABILITY, "question", b"3"))
    assert desk.arrivals == [agent.uid]


def test_who_takes_nothing_is_sent_no_more_than_memory_has_room_for(manager: Manager) -> None:
    agent = with_capability(manager)
    big = bytes(1 << 20)
    sent = 0
    while manager.role._custom.send(agent.uid, CAPABILITY, "question", big):
        sent += 1
        assert sent < 10 * MOST_WAITING
