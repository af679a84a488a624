"""The inventory as a whole, on an Engine that works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import Behaviour, FakeEngine, Fault
from compose_agent.dockerd.inventory import Inventory
from tests.descriptors import open_sockets
from tests.dockerd.watched import (
    HEARTBEAT_SECONDS,
    PATIENCE_SECONDS,
    agrees,
    inspects,
    picture,
    until,
    until_true_to,
    watching,
)

Act = Callable[[FakeEngine], object]
# What a stop may take on a loaded machine; a call that hangs would be waited for longer.
PROMPT_SECONDS = 5.0


@pytest.fixture(params=["1.41", "1.51", "1.52"])
def engine(request: pytest.FixtureRequest) -> Iterator[FakeEngine]:
    with FakeEngine(api_version=request.param) as started:
        yield started


@pytest.fixture
def modern() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


@pytest.fixture
def inventory(engine: FakeEngine) -> Iterator[Inventory]:
    engine.add_container("web", healthcheck=True)
    engine.set_health("web", "healthy")
    engine.add_container("done", running=False)
    with watching(engine) as started:
        until_true_to(engine, started)
        yield started


def verb(name: str, *arguments: object, **named: object) -> Act:
    """Carry a verb out as the API would."""

    def act(engine: FakeEngine) -> object:
        with engine.core.changed:
            container = engine.core.store.container("web")
        return getattr(engine.core.lifecycle, name)(container, *arguments, **named)

    return act


def update(engine: FakeEngine) -> None:
    """Change a limit as ``docker update`` does."""
    with engine.core.changed:
        container = engine.core.store.container("web")
        container.host_config["Memory"] = 64 << 20
        engine.core.events.container(container, "update")


ACTIONS: dict[str, tuple[Act, int]] = {
    # The second value is the most inspects that its events may cost: one for each that is a change.
    "create": (lambda engine: engine.add_container("new", running=False), 1),
    "create and start": (lambda engine: engine.add_container("new"), 2),
    "die": (lambda engine: engine.die("web", 3), 1),
    "stop": (verb("stop", None), 1),
    "kill": (verb("kill", 9, "web"), 1),
    "restart": (verb("restart", None), 3),
    "pause": (verb("pause"), 1),
    "rename": (verb("rename", "shop"), 1),
    "update": (update, 1),
    "health": (lambda engine: engine.set_health("web", "unhealthy"), 1),
    "kill for memory": (lambda engine: engine.oom("web"), 2),
    "kill of a child for memory": (lambda engine: engine.oom("web", child_only=True), 1),
    "remove": (lambda engine: engine.remove("done"), 0),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_is_seen_at_the_cost_of_one_inspect_per_change(
    engine: FakeEngine, inventory: Inventory, action: str
) -> None:
    act, cost = ACTIONS[action]
    before = picture(inventory)
    engine.forget_requests()
    act(engine)
    until(lambda: picture(inventory) != before and agrees(engine, inventory))
    asked = engine.requests()
    assert min(cost, 1) <= inspects(engine) <= cost
    assert set(asked) - {"GET /_ping"} == {one for one in asked if one.endswith("/json")}
    assert inventory.counts().missed_changes == 0


def test_the_first_picture_is_whole_when_it_is_said_to_be(engine: FakeEngine) -> None:
    for n in range(20):
        engine.add_container(f"c{n}", running=n % 2 == 0)
    with watching(engine) as inventory:
        assert inventory.wait_complete(PATIENCE_SECONDS)
        assert agrees(engine, inventory)
        assert [each.name for each in inventory.containers()] == sorted(f"c{n}" for n in range(20))
        assert inventory.engine().version == engine.core.dialect.release


def test_an_engine_without_containers_is_a_whole_picture_too(engine: FakeEngine) -> None:
    with watching(engine) as inventory:
        assert inventory.wait_complete(PATIENCE_SECONDS)
        assert inventory.containers() == ()


def test_in_steady_state_nothing_is_asked_but_the_ping(engine: FakeEngine, inventory: Inventory) -> None:
    engine.forget_requests()
    before = inventory.containers()
    until(lambda: engine.requests()["GET /_ping"] >= 5)
    assert set(engine.requests()) == {"GET /_ping"}
    assert inventory.containers() is before


def test_changes_of_one_container_that_come_together_share_an_inspect(modern: FakeEngine) -> None:
    modern.add_container("web")
    with watching(modern) as inventory:
        until_true_to(modern, inventory)
        modern.forget_requests()
        # While the first inspect is under way, everything else is one more.
        modern.add_fault(Fault("GET /containers/*/json", "slow", times=1, seconds=3.0))
        for _ in range(10):
            verb("pause")(modern)
            verb("unpause")(modern)
        modern.die("web", 4)
        until(lambda: agrees(modern, inventory))
        assert inspects(modern) <= 2


def test_a_snapshot_stays_the_same_object_until_something_changes(
    engine: FakeEngine, inventory: Inventory
) -> None:
    before = inventory.containers()
    assert inventory.containers() is before
    engine.die("web", 1)
    until(lambda: agrees(engine, inventory))
    assert inventory.containers() is not before


@pytest.mark.parametrize(
    ("action", "missed"),
    [
        (lambda engine: engine.die("web", 5), 1),
        (lambda engine: engine.add_container("new"), 1),
        (lambda engine: engine.remove("done"), 1),
        (verb("rename", "shop"), 1),
    ],
    ids=["die", "create", "remove", "rename"],
)
def test_what_no_event_told_is_found_by_the_reconcile_and_counted(
    modern: FakeEngine, action: Act, missed: int
) -> None:
    modern.add_container("web")
    modern.add_container("done", running=False)
    with watching(modern, reconcile=0.5) as inventory:
        until_true_to(modern, inventory)
        modern.drop_events(None)
        with modern.core.changed:  # so that no reconcile comes before the look
            action(modern)
            assert not agrees(modern, inventory)
        until(lambda: agrees(modern, inventory))
        assert inventory.counts().missed_changes == missed
        assert inventory.counts().connects == 1


def test_what_happens_before_the_engine_listens_is_seen(modern: FakeEngine) -> None:
    modern.add_container("web")
    modern.add_fault(Fault("GET /events", "late", times=1, seconds=0.5))
    with watching(modern) as inventory:
        until(lambda: inventory.link().up and [each.state for each in inventory.containers()] == ["running"])
        modern.die("web", 1)
        until_true_to(modern, inventory)
        assert inventory.counts().missed_changes == 0


def test_what_events_told_is_not_counted_as_missed_however_often_it_is_reconciled(modern: FakeEngine) -> None:
    modern.add_container("web", restart="always")
    with watching(modern, reconcile=0.05) as inventory:
        until_true_to(modern, inventory)
        for n in range(30):
            made = modern.add_container(f"c{n}")
            modern.die(made, n)
            if n % 3 == 0:
                modern.remove(made)
            until(lambda: agrees(modern, inventory))
        before = inventory.counts().reconciles
        until(lambda: inventory.counts().reconciles > before + 2)
        # Events may be on their way while a list is made, but never of more than one container.
        assert inventory.counts().missed_changes <= inventory.counts().reconciles


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_container_that_waits_for_its_restart_and_is_ended_does_not_stay_restarting(
    engine: FakeEngine, end: str
) -> None:
    web = engine.add_container("web", restart="always", behaviour=Behaviour(exit_after=0.01, exit_code=1))
    with watching(engine) as inventory:
        until(lambda: [each.state for each in inventory.containers()] == ["restarting"])
        until(lambda: engine.inspect(web)["State"]["Status"] == "restarting")
        verb(*(("kill", 9, "web") if end == "kill" else ("stop", None)))(engine)
        until_true_to(engine, inventory)
        assert inventory.containers()[0].state == "exited"


def test_kills_for_memory_are_counted_over_reconnects_once(modern: FakeEngine) -> None:
    modern.add_container("web")
    with watching(modern) as inventory:
        until_true_to(modern, inventory)
        modern.oom("web", child_only=True)
        until(lambda: inventory.containers()[0].oom_kills == 1)
        modern.freeze()
        until(lambda: not inventory.link().up)
        modern.thaw()  # the event is told once more, because since is inclusive
        until_true_to(modern, inventory)
        assert inventory.containers()[0].oom_kills == 1


def test_a_container_that_goes_while_it_is_inspected_stays_gone(modern: FakeEngine) -> None:
    with watching(modern) as inventory:
        until_true_to(modern, inventory)
        modern.add_fault(Fault("GET /containers/*/json", "slow", times=1, seconds=0.3))
        web = modern.add_container("web", running=False)
        until(lambda: inspects(modern) == 1)
        modern.remove(web)
        modern.add_container("last", running=False)
        until(lambda: agrees(modern, inventory))
        time.sleep(0.4)  # the slow answer has come by now
        assert [each.name for each in inventory.containers()] == ["last"]


def test_two_inventories_see_the_same(modern: FakeEngine) -> None:
    modern.add_project("shop", {"web": 3})
    with watching(modern) as one, watching(modern) as other:
        until_true_to(modern, one)
        until_true_to(modern, other)
        modern.die("shop-web-2", 1)
        until(lambda: agrees(modern, one) and agrees(modern, other))
        assert one.containers() == other.containers()


def test_two_thousand_containers_are_seen_and_reconciled(modern: FakeEngine) -> None:
    for n in range(2000):
        modern.add_container(f"c{n:04}", running=n % 4 != 0)
    with watching(modern) as inventory:
        assert inventory.wait_complete(60)
        assert agrees(modern, inventory)
        assert inspects(modern) == 2000
        modern.die("c0001", 1)
        until(lambda: agrees(modern, inventory))


def test_a_storm_of_events_costs_few_inspects_and_ends_in_the_right_picture(modern: FakeEngine) -> None:
    ids = [modern.add_container(f"c{n}") for n in range(10)]
    with watching(modern) as inventory:
        until_true_to(modern, inventory)
        modern.forget_requests()
        for _ in range(250):
            for each in ids:
                container = modern.core.store.container(each)
                modern.core.lifecycle.pause(container)
                modern.core.lifecycle.unpause(container)
            assert len(inventory._inspector._waiting) <= len(ids)
        modern.die(ids[0], 9)
        until(lambda: agrees(modern, inventory))
        assert inspects(modern) < 5000
        assert inventory.counts().connects == 1


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_jumps_changes_nothing(modern: FakeEngine, hours: int) -> None:
    offset = [0.0]
    modern.add_container("web")
    with watching(modern, reconcile=0.3, now=lambda: time.time() + offset[0]) as inventory:
        until_true_to(modern, inventory)
        offset[0] = hours * 3600.0
        until(lambda: inventory.counts().reconciles >= 3)
        modern.freeze()
        until(lambda: not inventory.link().up)
        modern.thaw()
        until_true_to(modern, inventory)
        modern.die("web", 2)
        until(lambda: agrees(modern, inventory))


def test_an_engine_whose_clock_is_set_back_is_followed(modern: FakeEngine) -> None:
    modern.add_container("web")
    with watching(modern) as inventory:
        until_true_to(modern, inventory)
        modern.die("web", 1)
        until(lambda: agrees(modern, inventory))
        modern.core.events._clock = type(
            "Earlier", (), {"time_ns": lambda _: time.time_ns() - 3600 * 10**9}
        )()
        modern.core.events._last_ns = 0
        modern.restart_engine()
        modern.add_container("new")
        until_true_to(modern, inventory)
        modern.die("new", 1)
        until(lambda: agrees(modern, inventory))
        assert inventory.counts().missed_changes == 0


@pytest.mark.parametrize("state", ["steady", "frozen", "absent", "changing"])
def test_stop_ends_every_thread_and_socket_promptly(modern: FakeEngine, state: str) -> None:
    threads, sockets = set(threading.enumerate()), open_sockets()
    modern.add_container("web", restart="always", behaviour=Behaviour(exit_after=0.05, exit_code=1))
    with watching(modern, timeout=1.0) as inventory:
        until(lambda: inventory.link().up)
        if state == "frozen":
            modern.freeze()
            until(lambda: not inventory.link().up)
        if state == "absent":
            modern.stop_engine()
            until(lambda: not inventory.link().up)
        stopping = time.monotonic()
        inventory.stop()
        assert time.monotonic() - stopping < PROMPT_SECONDS
        until(lambda: not [t for t in threading.enumerate() if t.name.startswith("engine-")], PROMPT_SECONDS)
    modern.thaw()
    if state != "absent":
        modern.stop_engine()
    until(lambda: open_sockets() <= sockets)
    until(lambda: not [t for t in set(threading.enumerate()) - threads if t.name.startswith("engine-")])
    modern.start_engine()


def test_stop_comes_before_the_first_answer_without_harm(modern: FakeEngine) -> None:
    modern.add_fault(Fault("GET /_ping", "slow", seconds=0.3))
    for _ in range(5):
        with watching(modern):
            time.sleep(HEARTBEAT_SECONDS / 2)
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("engine-")])


def test_stop_without_start_does_nothing(modern: FakeEngine) -> None:
    Inventory(EngineClient(Endpoint(modern.url, "test"))).stop()
    assert not modern.requests()


def test_a_listener_hears_each_event_and_from_a_given_moment_on(modern: FakeEngine) -> None:
    modern.add_container("web")
    heard: list[tuple[str, str]] = []
    client = EngineClient(Endpoint(modern.url, "test"))
    first = modern.core.events.since(0, None)[0]
    inventory = Inventory(
        client,
        on_event=lambda event: heard.append((event.action, event.attributes["name"])),
        since_ns=first.time_ns,
    )
    inventory.start()
    try:
        until(lambda: inventory.link().up)
        modern.die("web", 1)
        until(lambda: ("die", "web") in heard)
    finally:
        inventory.stop()
        client.close()
    assert heard == [("create", "web"), ("start", "web"), ("die", "web")]
