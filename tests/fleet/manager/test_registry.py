"""States of nodes over time, with clocks of the test's own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from fleet.manager.model import Description, Node, Peer, State, Transition
from fleet.manager.registry import Clocks, Registry

UID, OTHER = b"u" * 16, b"o" * 16


@dataclass
class Scene:
    now: float = 1000.0
    seen: list[Transition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = Registry(self.seen.append, Clocks(lambda: self.now, lambda: self.now + 1e9))

    def join(self, uid: bytes = UID, name: str = "one", **told: str) -> tuple[Node, Peer]:
        peer = Peer("websocket", "10.0.0.1")
        node = self.registry.hear(uid, peer, described=True)
        self.registry.describe(node, Description(name, **told))  # type: ignore[arg-type]
        self.registry.settle(node)
        return node, peer

    def pass_time(self, seconds: float) -> None:
        """Sweep twice a second, as the manager does."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            self.registry.sweep(0.5)

    @property
    def states(self) -> list[State]:
        return [one.after for one in self.seen]


def state_of(node: Node) -> State:
    """Return its state of this moment; a type checker believes that the one it saw last is still there."""
    return node.state


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_silence_is_late_and_offline_within_two_and_a_half_intervals(
    scene: Scene,
) -> None:
    node, _ = scene.join()
    scene.pass_time(44)
    assert state_of(node) is State.ONLINE
    scene.pass_time(2)
    assert (node.state, node.reason) == (State.LATE, "nothing heard for 45 s; it should speak every 30 s")
    scene.pass_time(2.5 * 30 - 46)
    assert state_of(node) is State.OFFLINE
    assert scene.states == [State.ONLINE, State.LATE, State.OFFLINE]


def test_heartbeats_that_are_a_third_late_are_on_time(scene: Scene) -> None:
    node, peer = scene.join()
    for _ in range(20):
        scene.pass_time(39)
        scene.registry.hear(UID, peer, described=False)
    assert state_of(node) is State.ONLINE
    assert scene.states == [State.ONLINE]


def test_a_manager_that_stood_still_blames_nobody(scene: Scene) -> None:
    node, _ = scene.join()
    scene.pass_time(10)
    scene.now += 300
    scene.pass_time(20)
    assert state_of(node) is State.ONLINE
    scene.pass_time(30)
    assert state_of(node) is State.LATE


def test_a_connection_that_ends_with_a_goodbye_is_offline_at_once(scene: Scene) -> None:
    node, peer = scene.join()
    scene.registry.lose(peer, "the agent closed the connection", clean=True)
    assert (node.state, node.reason) == (State.OFFLINE, "the agent closed the connection")


def test_a_connection_that_breaks_is_late_until_it_would_have_spoken(scene: Scene) -> None:
    node, peer = scene.join()
    scene.registry.lose(peer, "the connection broke", clean=False)
    assert state_of(node) is State.LATE
    scene.pass_time(70)
    assert (node.state, node.reason) == (State.OFFLINE, "the connection broke")


def test_the_end_of_an_older_connection_says_nothing(scene: Scene) -> None:
    node, before = scene.join()
    scene.join()
    scene.registry.lose(before, "the connection broke", clean=False)
    assert state_of(node) is State.ONLINE


def test_since_is_when_the_state_changed(scene: Scene) -> None:
    node, _ = scene.join()
    scene.pass_time(20)
    assert node.since == 1000.0 + 1e9


def test_nodes_of_the_last_time_stand_as_they_stood_and_have_time_to_speak(scene: Scene) -> None:
    online = Node(UID, Description("one"), state=State.ONLINE, since=5.0)
    gone = Node(OTHER, Description("two"), state=State.OFFLINE, reason="the agent said goodbye", since=6.0)
    scene.registry.restore([online, gone])
    scene.pass_time(44)
    assert (online.state, gone.state, gone.reason) == (State.ONLINE, State.OFFLINE, "the agent said goodbye")
    assert (online.since, gone.since, scene.states) == (5.0, 6.0, [])
    scene.pass_time(31)
    assert state_of(online) is State.OFFLINE


def test_the_second_of_a_name_is_a_duplicate_until_the_first_is_gone(scene: Scene) -> None:
    _, peer = scene.join(UID, "web", host="a")
    second, _ = scene.join(OTHER, "web", host="b")
    assert state_of(second) is State.DUPLICATE
    assert "on a as well" in second.reason
    scene.registry.lose(peer, "bye", clean=True)
    scene.registry.sweep(0.5)
    assert state_of(second) is State.ONLINE
    assert [node.uid for node in scene.registry.find("web")] == [OTHER, UID]


def test_an_agent_that_lost_its_uid_takes_its_own_place(scene: Scene) -> None:
    scene.join(UID, "web", host_id="ENGINE", service="s")
    second, peer = scene.join(OTHER, "web", host_id="ENGINE", service="s")
    assert state_of(second) is State.DUPLICATE
    for _ in range(4):
        scene.pass_time(20)
        scene.registry.hear(OTHER, peer, described=False)
    scene.registry.sweep(0.5)
    assert [node.uid for node in scene.registry.find("web")] == [OTHER]
    assert state_of(second) is State.ONLINE
    assert scene.registry.taken()[1] == [UID]


def test_expected_nodes_are_never_seen_until_they_come(scene: Scene) -> None:
    scene.registry.expect(["one", "two"])
    assert scene.registry.count()[State.NEVER_SEEN] == 2
    scene.join()
    assert scene.registry.never_seen() == ["two"]
    assert scene.registry.count()[State.ONLINE] == 1


def test_a_node_that_is_switched_off_is_disabled_whatever_it_does(scene: Scene) -> None:
    node, peer = scene.join()
    scene.registry.disable(node, disabled=True)
    scene.registry.hear(UID, peer, described=False)
    scene.pass_time(100)
    assert state_of(node) is State.DISABLED
    scene.registry.disable(node, disabled=False)
    assert state_of(node) is State.OFFLINE


def test_what_has_changed_is_given_out_once(scene: Scene) -> None:
    node, _ = scene.join()
    assert scene.registry.taken() == ([node], [])
    assert scene.registry.taken() == ([], [])
    scene.registry.forget(node)
    assert scene.registry.taken() == ([], [UID])
    assert scene.registry.count()[State.ONLINE] == 0


def test_one_that_was_forgotten_and_speaks_again_is_not_removed(scene: Scene) -> None:
    node, peer = scene.join()
    scene.registry.forget(node)
    again = scene.registry.hear(UID, peer, described=False)
    assert scene.registry.taken() == ([again], [])


def test_who_never_says_who_it_is_is_forgotten_when_it_is_gone(scene: Scene) -> None:
    peer = Peer("websocket", "10.0.0.1")
    scene.registry.settle(scene.registry.hear(UID, peer, described=False))
    scene.join(OTHER, "other")
    for each in (UID, OTHER):
        assert scene.registry.get(each)
    scene.registry.lose(peer, "closed", clean=True)
    scene.pass_time(1)
    assert scene.registry.get(UID) is None
    assert scene.registry.get(OTHER)


def test_there_is_a_most_of_nodes(scene: Scene) -> None:
    registry = Registry(scene.seen.append, most=1)
    registry.hear(UID, Peer("http", "10.0.0.1"), described=True)
    assert registry.is_full(OTHER)
    assert not registry.is_full(UID)


def test_a_clock_that_is_set_back_by_days_changes_nobody_s_state() -> None:
    now, wall = [1000.0], [1e9]
    seen: list[Transition] = []
    registry = Registry(seen.append, Clocks(lambda: now[0], lambda: wall[0]))
    peer = Peer("websocket", "10.0.0.1")
    node = registry.hear(UID, peer, described=True)
    registry.describe(node, Description("one"))
    registry.settle(node)
    for skew in (-3 * 86_400, 9 * 86_400, -30 * 86_400):
        wall[0] += skew
        for _ in range(60):
            now[0] += 0.5
            registry.sweep(0.5)
        registry.hear(UID, peer, described=False)
        registry.settle(node)
    assert [one.after for one in seen] == [State.ONLINE]


def test_a_heartbeat_alone_is_written_only_now_and_then(scene: Scene) -> None:
    node, peer = scene.join()
    scene.registry.taken()
    written = 0
    for _ in range(40):
        scene.pass_time(30)
        scene.registry.hear(UID, peer, described=False)
        scene.registry.settle(node)
        written += bool(scene.registry.taken()[0])
    assert written == 4
    scene.registry.mark(node)
    assert scene.registry.taken()[0] == [node]


def test_how_long_a_node_is_ill_counts_neither_while_the_manager_was_away_nor_while_it_stood_still(
    scene: Scene,
) -> None:
    node, _ = scene.join()
    node.turned_at = 5.0
    again = Scene(now=9000.0)
    again.registry.restore([node])
    assert node.turned_at == 9000.0
    again.now += 71.0
    again.registry.sweep(0.5)
    assert again.now - node.turned_at == 1.0  # two sweeps
