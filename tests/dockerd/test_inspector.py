"""Inspections that wait, coincide, hang and fail."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from compose_agent.dockerd.inspector import INSPECTORS, STUCK_INSPECTORS, Inspector
from compose_agent.dockerd.ledger import Ledger
from compose_agent.errors import EngineError, EngineGarbage, EngineNotFound, EngineTimeout
from tests.dockerd.test_model import inspect

TIMEOUT = 20.0


class Engine:
    """Answers inspects; an id can be held up, or be answered by an error."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.states: dict[str, str] = {}
        self.errors: dict[str, list[EngineError]] = {}
        self.held: dict[str, threading.Event] = {}
        self.came = threading.Condition()

    def inspect(self, container_id: str) -> dict[str, Any]:
        state = self.states.get(container_id, "running")
        with self.came:
            self.asked[container_id] += 1
            self.came.notify_all()
        if held := self.held.get(container_id):
            assert held.wait(TIMEOUT)
        if errors := self.errors.get(container_id):
            raise errors.pop(0)
        return inspect(top={"Id": container_id, "Name": f"/{container_id}"}, state={"Status": state})

    def wait(self, container_id: str, times: int = 1) -> bool:
        with self.came:
            return self.came.wait_for(lambda: self.asked[container_id] >= times, TIMEOUT)


@contextmanager
def running(engine: Engine, threads: int = INSPECTORS) -> Iterator[tuple[Inspector, Ledger]]:
    ledger = Ledger()
    inspector = Inspector(engine.inspect, ledger, threads, retry_seconds=0.02)
    inspector.start()
    try:
        yield inspector, ledger
    finally:
        for event in engine.held.values():
            event.set()
        inspector.stop()
        for thread in inspector._threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()


def until(true: Callable[[], bool]) -> bool:
    """Poll for what happens in another thread."""
    pause = threading.Event()
    return any(true() or pause.wait(0.005) for _ in range(4000))


def ids(ledger: Ledger) -> list[str]:
    return [each.id for each in ledger.snapshot()]


def test_what_is_asked_for_is_inspected() -> None:
    engine = Engine()
    with running(engine) as (inspector, ledger):
        inspector.ask("a")
        assert until(lambda: ids(ledger) == ["a"])
    assert engine.asked == {"a": 1}


def test_a_container_that_waits_is_inspected_once_however_often_it_is_asked_for() -> None:
    engine = Engine()
    engine.held["first"] = threading.Event()
    with running(engine, threads=1) as (inspector, ledger):
        inspector.ask("first")
        assert engine.wait("first")
        for _ in range(10):
            inspector.ask("a")
        engine.held["first"].set()
        assert until(lambda: ids(ledger) == ["a", "first"])
    assert engine.asked["a"] == 1


def test_a_container_that_changes_while_it_is_inspected_is_inspected_again() -> None:
    engine = Engine()
    engine.held["a"] = threading.Event()
    with running(engine) as (inspector, ledger):
        inspector.ask("a")
        assert engine.wait("a")
        engine.states["a"] = "paused"
        for _ in range(5):
            inspector.ask("a")
        engine.held["a"].set()
        assert until(lambda: [each.state for each in ledger.snapshot()] == ["paused"])
    assert engine.asked["a"] == 2


def test_a_container_is_never_inspected_twice_at_once() -> None:
    engine = Engine()
    engine.held["a"] = threading.Event()
    with running(engine) as (inspector, ledger):
        inspector.ask("a")
        assert engine.wait("a")
        inspector.ask("a")
        inspector.ask("b")
        assert until(lambda: ids(ledger) == ["b"])
        assert engine.asked["a"] == 1


def test_stuck_inspects_do_not_hold_up_the_others() -> None:
    engine = Engine()
    stuck = [f"stuck{n}" for n in range(INSPECTORS - 1)]
    engine.held.update({each: threading.Event() for each in stuck})
    with running(engine) as (inspector, ledger):
        inspector.ask_all([*stuck, *"abcdefgh"], changed=True)
        assert until(lambda: ids(ledger) == [*"abcdefgh"])
        assert not inspector.wait_settled(0)


def test_containers_that_hang_again_and_again_leave_threads_to_the_others() -> None:
    engine = Engine()
    stuck = [f"stuck{n}" for n in range(2 * INSPECTORS)]
    engine.errors.update({each: [EngineTimeout("late")] * 50 for each in stuck})
    with running(engine) as (inspector, ledger):
        inspector.ask_all(stuck, changed=True)
        assert inspector.wait_settled(TIMEOUT)
        engine.held.update({each: threading.Event() for each in stuck})
        assert until(lambda: len(inspector._in_flight) == STUCK_INSPECTORS)
        inspector.ask_all([*stuck, *"abc"], changed=False)
        assert until(lambda: ids(ledger) == [*"abc"])
        assert len(inspector._in_flight) == STUCK_INSPECTORS
        engine.errors.clear()
        for each in stuck:
            engine.held.pop(each).set()
        assert until(lambda: len(ids(ledger)) == 3 + len(stuck))


@pytest.mark.parametrize("error", [EngineTimeout("late"), EngineGarbage("what")])
def test_after_an_error_it_is_asked_again(error: EngineError) -> None:
    engine = Engine()
    engine.errors["a"] = [error, error]
    with running(engine) as (inspector, ledger):
        inspector.ask("a")
        assert until(lambda: ids(ledger) == ["a"])
    assert engine.asked["a"] == 3


def test_a_container_that_is_not_there_is_forgotten_and_not_asked_for_again() -> None:
    engine = Engine()
    with running(engine) as (inspector, ledger):
        inspector.ask("a")
        assert until(lambda: ids(ledger) == ["a"])
        engine.errors["a"] = [EngineNotFound("gone", status=404)]
        inspector.ask("a")
        assert until(lambda: ids(ledger) == [])
        assert not inspector._retries
    assert engine.asked["a"] == 2


def test_it_is_settled_when_everything_listed_was_inspected_with_whatever_result() -> None:
    engine = Engine()
    engine.held["a"] = threading.Event()
    engine.errors["b"] = [EngineTimeout("late")]
    with running(engine) as (inspector, _):
        assert not inspector.wait_settled(0)
        inspector.ask_all(["a", "b"], changed=True)
        assert not inspector.wait_settled(0.01)
        engine.held["a"].set()
        assert inspector.wait_settled(TIMEOUT)


def test_an_empty_list_is_settled() -> None:
    with running(Engine()) as (inspector, _):
        inspector.ask_all([], changed=True)
        assert inspector.wait_settled(0)


def test_somebody_who_waits_until_it_is_settled_takes_no_wake_up_from_an_inspector() -> None:
    engine = Engine()
    engine.held["a"] = threading.Event()
    with running(engine, threads=2) as (inspector, ledger):
        inspector.ask_all(["a"], changed=True)
        assert engine.wait("a")
        waiters = [threading.Thread(target=inspector.wait_settled, args=[TIMEOUT]) for _ in range(8)]
        for waiter in waiters:
            waiter.start()
        for n in range(20):
            inspector.ask(f"b{n}")
            assert until(lambda n=n: f"b{n}" in ids(ledger))  # type: ignore[misc]
        engine.held["a"].set()
        for waiter in waiters:
            waiter.join(TIMEOUT)


@pytest.mark.parametrize(("changed", "missed"), [(True, 0), (False, 1)])
def test_a_change_that_a_list_found_counts_as_missed_unless_it_was_expected(
    changed: bool, missed: int
) -> None:
    engine = Engine()
    with running(engine) as (inspector, ledger):
        inspector.ask_all(["a"], changed=True)
        assert inspector.wait_settled(TIMEOUT)
        engine.states["a"] = "paused"
        inspector.ask_all(["a"], changed=changed)
        assert until(lambda: [each.state for each in ledger.snapshot()] == ["paused"])
        assert ledger.missed_changes == missed


def test_a_change_whose_event_came_while_it_was_inspected_is_not_missed() -> None:
    engine = Engine()
    with running(engine) as (inspector, ledger):
        inspector.ask_all(["a"], changed=True)
        assert inspector.wait_settled(TIMEOUT)
        engine.held["a"] = threading.Event()
        engine.states["a"] = "paused"
        inspector.ask_all(["a"], changed=False)
        assert engine.wait("a", 2)
        inspector.ask("a")
        engine.held["a"].set()
        assert until(lambda: [each.state for each in ledger.snapshot()] == ["paused"])
        assert ledger.missed_changes == 0


def test_what_changes_later_does_not_unsettle() -> None:
    engine = Engine()
    with running(engine) as (inspector, _):
        inspector.ask_all(["a"], changed=True)
        assert inspector.wait_settled(TIMEOUT)
        engine.held["a"] = threading.Event()
        inspector.ask("a")
        inspector.ask_all(["a"], changed=False)
        assert engine.wait("a", 2)
        assert inspector.wait_settled(0)
        engine.held["a"].set()


def test_an_answer_from_before_the_list_does_not_settle_it() -> None:
    engine = Engine()
    first = engine.held["a"] = threading.Event()
    with running(engine) as (inspector, _):
        inspector.ask("a")
        assert engine.wait("a")
        inspector.ask_all(["a"], changed=True)
        engine.held["a"] = threading.Event()
        first.set()
        assert engine.wait("a", 2)
        assert not inspector.wait_settled(0.01)
        engine.held["a"].set()
        assert inspector.wait_settled(TIMEOUT)


def test_while_paused_nothing_is_asked_until_the_list_of_a_new_connection() -> None:
    engine = Engine()
    engine.errors["a"] = [EngineTimeout("late")]
    with running(engine) as (inspector, ledger):
        inspector.ask_all(["a"], changed=True)
        assert inspector.wait_settled(TIMEOUT)
        inspector.pause()
        inspector.ask("b")
        inspector.ask_all(["c"], changed=False)
        assert not inspector.wait_settled(0.1)
        asked = engine.asked["a"]
        inspector.ask_all(["a", "d"], changed=True)
        assert until(lambda: ids(ledger) == ["a", "d"])
        assert not engine.asked.keys() & {"b", "c"}
        assert engine.asked["a"] <= asked + 1


def test_after_stop_nothing_is_asked_again() -> None:
    engine = Engine()
    engine.errors["a"] = [EngineTimeout("late")] * 100
    with running(engine) as (inspector, _):
        inspector.ask("a")
        assert engine.wait("a", 2)
    asked = engine.asked["a"]
    assert not threading.Event().wait(0.1)
    assert engine.asked["a"] == asked
