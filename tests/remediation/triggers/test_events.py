"""Container events of a fake Engine as signals, through a real inventory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import Behaviour, FakeEngine
from compose_agent.dockerd.inventory import Inventory
from remediation.triggers.events import ContainerEvents
from tests.dockerd.watched import until
from tests.remediation.triggers.told import Inbox, Memories

SICK = Behaviour(health="unhealthy", health_takes=0.0)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


def add_healthy(engine: FakeEngine, name: str) -> None:
    """Add a container that is healthy by now: none of its health checks is still to come."""
    engine.add_container(name, healthcheck=True)
    engine.set_health(name, "healthy")


@contextmanager
def telling(engine: FakeEngine, inbox: Inbox, memories: Memories | None = None) -> Iterator[ContainerEvents]:
    """Tell the inbox what happens to the Engine's containers."""
    client = EngineClient(Endpoint(engine.url, "test"))
    events = ContainerEvents(inbox.receive, memories or Memories())
    inventory = Inventory(client, on_event=events.hear, since_ns=events.since_ns)
    inventory.start()
    events.start(inventory)
    try:
        assert inventory.wait_complete(20)
        yield events
    finally:
        events.stop()
        inventory.stop()
        client.close()


def test_a_crash_and_an_unhealthy_container_are_told(engine: FakeEngine) -> None:
    add_healthy(engine, "web")
    inbox = Inbox()
    with telling(engine, inbox):
        engine.set_health("web", "unhealthy")
        engine.die("web", 3)
        until(lambda: len(inbox.told()) == 3)
    assert inbox.told() == ["+ContainerUnhealthy", "-ContainerUnhealthy", "+ContainerDied"]
    assert inbox.signals[2].labels["exit_code"] == "3"
    assert all(each.received_at >= each.starts_at for each in inbox.signals)


def test_what_somebody_stops_or_restarts_is_not_told(engine: FakeEngine) -> None:
    web = engine.add_container("web")
    inbox = Inbox()
    with telling(engine, inbox):
        with engine.core.changed:
            container = engine.core.store.container(web)
        engine.core.lifecycle.restart(container, 0)
        engine.core.lifecycle.stop(container, 0)
        engine.add_container("last")
        engine.die("last", 1)
        until(lambda: bool(inbox.signals))
    assert [each.labels["name"] for each in inbox.signals] == ["last"]


def test_what_became_unhealthy_before_the_start_is_told(engine: FakeEngine) -> None:
    engine.add_container("web", behaviour=SICK)
    inbox = Inbox()
    with telling(engine, inbox):
        until(lambda: inbox.told() == ["+ContainerUnhealthy"])


def test_nothing_is_told_twice_over_restarts_and_what_happened_meanwhile_is_told_once(
    engine: FakeEngine,
) -> None:
    for name in ("sick", "mended", "crashed", "removed"):
        add_healthy(engine, name)
    inbox, memories = Inbox(), Memories()
    with telling(engine, inbox, memories):
        for name in ("sick", "mended", "removed"):
            engine.set_health(name, "unhealthy")
        until(lambda: len(inbox.signals) == 3 and bool(memories.values))
    engine.set_health("mended", "healthy")
    engine.remove("removed")
    engine.die("crashed", 4)
    for _ in range(2):
        with telling(engine, inbox, memories):
            until(lambda: len(inbox.signals) == 6)
            engine.set_health("sick", "unhealthy")  # an Engine tells of each change, and this is none
    later = {(each.labels["name"], each.firing) for each in inbox.signals[3:]}
    assert later == {("mended", False), ("removed", False), ("crashed", True)}


def test_signals_that_cannot_be_written_down_are_told_again(engine: FakeEngine) -> None:
    engine.add_container("web")
    inbox = Inbox()
    inbox.refusals = 3
    with telling(engine, inbox):
        engine.die("web", 1)
        until(lambda: bool(inbox.signals))
    assert inbox.told() == ["+ContainerDied"]
    assert inbox.refusals == 0


def test_a_stop_before_they_are_taken_leaves_them_for_the_next_start(engine: FakeEngine) -> None:
    engine.add_container("before")
    engine.add_container("web")
    inbox, memories = Inbox(), Memories()
    with telling(engine, inbox, memories):
        engine.die("before", 1)
        until(lambda: bool(memories.values))
        inbox.refusals = 1_000_000
        engine.die("web", 2)
        until(lambda: inbox.refusals < 1_000_000)
    inbox.refusals = 0
    with telling(engine, inbox, memories):
        until(lambda: len(inbox.signals) == 2)
    assert [each.labels["name"] for each in inbox.signals] == ["before", "web"]


def test_a_memory_that_fails_costs_nothing_but_itself(engine: FakeEngine) -> None:
    engine.add_container("web")
    inbox, memories = Inbox(), Memories()
    memories.failures = 1
    memories.values["events"] = b"{garbage"
    with telling(engine, inbox, memories):
        engine.die("web", 1)
        until(lambda: bool(inbox.signals) and memories.failures == 0)
        engine.remove("web")
        until(lambda: inbox.told() == ["+ContainerDied", "-ContainerDied"])


def test_a_restart_loop_is_told_of_a_container_that_its_policy_starts_again(engine: FakeEngine) -> None:
    inbox = Inbox()
    with telling(engine, inbox):
        engine.add_container("web", restart="always", behaviour=Behaviour(exit_after=0.01, exit_code=1))
        until(lambda: "+ContainerRestartLoop" in inbox.told())
        engine.remove("web")
        until(lambda: "-ContainerRestartLoop" in inbox.told())
