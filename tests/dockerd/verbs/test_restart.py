from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import Behaviour, FakeEngine
from compose_agent.dockerd.fake.clock import ManualClock
from compose_agent.dockerd.stream import Event
from compose_agent.dockerd.verbs.containers import Look
from compose_agent.dockerd.verbs.contract import (
    Done,
    Failed,
    InProgress,
    NeverSent,
    Observation,
    Refused,
    Unknown,
)
from compose_agent.dockerd.verbs.evidence import OVERDUE_SECONDS, Evidence, signal_number, stop_signal
from compose_agent.dockerd.verbs.restart import Restart, judge_events, judge_state
from tests.dockerd.verbs.acting import asked

SECOND = 10**9
NOTED_NS = 1_000 * SECOND
FACTS: dict[str, Any] = {
    "id": "a" * 64,
    "name": "web",
    "running": True,
    "started_at": "t1",
    "finished_at": "t0",
    "exit_code": 0,
    "error": "",
    "engine_ns": NOTED_NS,
    "stop_seconds": 10,
    "stop_signal": 15,
}
# After which a stop of 10 s is no longer believed in.
OVERDUE = 10 + OVERDUE_SECONDS


def seen(**changed: Any) -> Look:
    as_before: dict[str, Any] = {
        "id": "a" * 64, "name": "web", "running": True, "paused": False, "status": "running",
        "started_at": "t1", "finished_at": "t0", "exit_code": 0, "error": "", "raw": {},
    }  # fmt: skip
    return Look(**(as_before | changed))


STOPPED = {"running": False, "status": "exited", "finished_at": "t2", "exit_code": 137}


@pytest.mark.parametrize(
    ("now", "observation"),
    [
        ({}, None),
        (STOPPED, None),
        ({"started_at": "t2"}, Done({"started_at": "t2", "started_before": "t1", "status": "running"})),
        # Started, and over again: the restart is done, whatever it was good for.
        (
            STOPPED | {"started_at": "t2"},
            Done({"started_at": "t2", "started_before": "t1", "status": "exited", "exit_code": 137}),
        ),
        (STOPPED | {"exit_code": 128, "error": "port is taken"}, Failed("port is taken")),
        (STOPPED | {"exit_code": 128}, Failed("it has ended with exit code 128")),
        # It runs again after a failed start; the words of then are still there.
        ({"error": "port is taken"}, None),
    ],
)
def test_what_the_state_proves(now: dict[str, Any], observation: Observation | None) -> None:
    assert judge_state(FACTS, seen(**now)) == observation


def test_an_old_failure_proves_nothing() -> None:
    failed = {"exit_code": 128, "error": "port is taken", "finished_at": "t0"}
    assert judge_state(FACTS | failed | {"running": False}, seen(**failed, running=False)) is None


def event(action: str, after: float = 1.0, **attributes: str) -> Event:
    return Event(action, "a" * 64, NOTED_NS + round(after * SECOND), attributes)


TERM = event("kill", signal="15")


@pytest.mark.parametrize(
    ("events", "complete", "after", "now", "observation"),
    [
        ((), True, 0.1, {}, NeverSent()),
        ((), False, 0.1, {}, InProgress()),
        ((), False, OVERDUE, {}, NeverSent()),
        ((), False, OVERDUE, STOPPED, NeverSent()),
        ((TERM,), True, 1.0, {}, InProgress()),
        ((TERM, event("die", 2.0)), True, 2.0, STOPPED, InProgress()),
        ((TERM,), True, OVERDUE, {}, InProgress()),
        ((TERM,), True, OVERDUE + 1, {}, Unknown("…")),
        (
            (TERM, event("die", 2.0)),
            True,
            OVERDUE + 1,
            STOPPED,
            Failed("it was stopped and not started again"),
        ),
        # In the pause of a restart loop there is nobody to kill.
        ((event("stop"),), True, 1.0, STOPPED, InProgress()),
        ((event("kill", signal="9"),), True, 1.0, {}, InProgress()),
        ((event("kill"),), True, 1.0, {}, InProgress()),
        # A log rotation's signal, and a death by itself.
        ((event("kill", signal="1"),), True, 1.0, {}, NeverSent()),
        ((event("die"),), True, 1.0, STOPPED, NeverSent()),
        ((event("health_status"), event("exec_die")), True, 1.0, {}, NeverSent()),
    ],
)
def test_what_events_prove(
    events: tuple[Event, ...], complete: bool, after: float, now: dict[str, Any], observation: Observation
) -> None:
    evidence = Evidence(events, complete, NOTED_NS + round(after * SECOND))
    found = judge_events(FACTS, seen(**now), evidence)
    assert type(found) is type(observation)
    if not isinstance(observation, Unknown):
        assert found == observation


def test_the_containers_own_stop_signal_shows_its_stop() -> None:
    evidence = Evidence((event("kill", signal="3"),), complete=True, now_ns=NOTED_NS)
    assert judge_events(FACTS | {"stop_signal": 3}, seen(), evidence) == InProgress()
    assert judge_events(FACTS, seen(), evidence) == NeverSent()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15), ("term", 15), ("15", 15), ("SIGRTMIN+3", 37), ("SIGUSR1", 10),
        ("", None), ("SIGNOPE", None), ("0", None), ("99", None), ("TERM+x", None), ("RTMIN+99", None),
    ],
)  # fmt: skip
def test_signals_have_numbers(text: str, number: int | None) -> None:
    assert signal_number(text) == number
    assert stop_signal(text) == (number or 15)


class World:
    """A fake Engine on which time stands still, a container on it, and what was noted of it."""

    def __init__(self, engine: FakeEngine, clock: ManualClock, client: EngineClient) -> None:
        self.engine = engine
        self.clock = clock
        self.client = client
        self.id = engine.add_container("web", behaviour=Behaviour(ignores_term=True))
        self.request = asked("restart", self.id)
        clock.advance(60)
        self.facts = Restart().prepare(client, self.request)
        clock.advance(0.001)

    def observe(self) -> Observation:
        return Restart().observe(self.client, self.request, self.facts)

    def crowd_out(self) -> None:
        """Make the Engine forget what was before."""
        for _ in range(150):
            self.engine.add_container(f"other-{self.clock.time_ns()}")
            self.clock.advance(0.0001)


@pytest.fixture
def world() -> Iterator[World]:
    clock = ManualClock()
    with FakeEngine(clock=clock) as engine:
        client = EngineClient(Endpoint(engine.url, "test"), timeout=5)
        yield World(engine, clock, client)
        client.close()


def restart_behind(world: World) -> threading.Thread:
    """Have somebody ask for the restart and not wait for it; return when the stop signal is out."""
    thread = threading.Thread(target=lambda: world.client.restart(world.id, 10, timeout=60), daemon=True)
    thread.start()
    with world.engine.core.changed:
        world.engine.core.changed.wait_for(
            lambda: world.engine.core.events.since(world.clock.time_ns() - 1, None) != [], 10
        )
    return thread


def never_sent(world: World) -> None:
    """Do nothing."""


def restarted(world: World) -> None:
    world.engine.behave(world.id, Behaviour())
    world.client.restart(world.id, 10, timeout=5)


def start_failed(world: World) -> None:
    world.engine.behave(world.id, Behaviour(start_error="port is already allocated"))
    with pytest.raises(Exception, match="port is already allocated"):
        world.client.restart(world.id, 0, timeout=5)


def died_by_itself(world: World) -> None:
    world.engine.die(world.id, 1)


def removed(world: World) -> None:
    world.engine.remove(world.id)


def events_lost(world: World) -> None:
    world.crowd_out()


def events_lost_long_ago(world: World) -> None:
    world.crowd_out()
    world.clock.advance(OVERDUE)


def engine_restarted(world: World) -> None:
    world.engine.restart_engine()


@pytest.mark.parametrize(
    ("happens", "kind"),
    [
        (never_sent, NeverSent),
        (restarted, Done),
        (start_failed, Failed),
        (died_by_itself, NeverSent),
        (removed, Failed),
        (events_lost, InProgress),
        (events_lost_long_ago, NeverSent),
        # Whatever was under way ended with the Engine.
        (engine_restarted, NeverSent),
    ],
)
def test_what_became_of_it_can_be_seen(
    world: World, happens: Callable[[World], None], kind: type[Observation]
) -> None:
    happens(world)
    assert type(world.observe()) is kind


def test_an_engine_that_brings_it_up_again_has_restarted_it(world: World) -> None:
    world.engine.core.store.container(world.id).host_config["RestartPolicy"]["Name"] = "always"
    world.engine.restart_engine()
    assert isinstance(world.observe(), Done)


def test_a_stop_under_way_is_followed_to_its_end(world: World) -> None:
    thread = restart_behind(world)
    assert world.observe() == InProgress()
    world.clock.advance(9)
    assert world.observe() == InProgress()
    world.clock.advance(2)
    while thread.is_alive():
        world.clock.advance(0.1)
        thread.join(0.05)
    assert isinstance(world.observe(), Done)


def paused(world: World) -> None:
    world.client.pause(world.id)


def stopped(world: World) -> None:
    world.client.stop(world.id, 0, timeout=5)


@pytest.mark.parametrize("state", [paused, stopped])
def test_what_does_not_run_is_restarted_too(world: World, state: Callable[[World], None]) -> None:
    world.engine.behave(world.id, Behaviour())
    state(world)
    world.clock.advance(1)
    world.facts = Restart().prepare(world.client, world.request)
    world.clock.advance(1)
    assert world.observe() == NeverSent()
    Restart().call(world.client, world.request, world.facts)
    assert isinstance(world.observe(), Done)


@pytest.mark.parametrize(
    ("arguments", "config", "seconds", "signal"),
    [
        ({}, {}, 10, 15),
        ({}, {"StopTimeout": 3, "StopSignal": "SIGQUIT"}, 3, 3),
        ({"timeout": 0, "signal": "SIGINT"}, {"StopTimeout": 3, "StopSignal": "SIGQUIT"}, 0, 2),
    ],
)
def test_the_stop_is_as_the_request_or_the_container_says(
    world: World, arguments: dict[str, Any], config: dict[str, Any], seconds: int, signal: int
) -> None:
    made = world.engine.add_container("other", config=config)
    facts = Restart().prepare(world.client, asked("restart", made, **arguments))
    assert (facts["stop_seconds"], facts["stop_signal"]) == (seconds, signal)


def test_an_engine_that_takes_no_signal_is_not_given_one() -> None:
    with FakeEngine(api_version="1.41") as engine:
        web = engine.add_container("web")
        client = EngineClient(Endpoint(engine.url, "test"))
        with pytest.raises(Refused, match=r"\(API 1\.41\) takes no signal for a stop"):
            Restart().prepare(client, asked("restart", web, signal="SIGINT"))
        client.close()


@pytest.mark.parametrize(
    ("arguments", "config", "words"),
    [
        ({"timeout": -1}, {}, "has to be between 0 and 3600 s"),
        ({"timeout": 1e9}, {}, "is no number of seconds"),
        ({"timeout": True}, {}, "is no number of seconds"),
        ({}, {"StopTimeout": -1}, "is that of other; give the action one between"),
        ({"signal": "SIGNOPE"}, {}, "there is no signal 'SIGNOPE'"),
    ],
)
def test_arguments_without_sense_are_refused(
    world: World, arguments: dict[str, Any], config: dict[str, Any], words: str
) -> None:
    made = world.engine.add_container("other", config=config)
    with pytest.raises(Refused, match=words):
        Restart().prepare(world.client, asked("restart", made, **arguments))
