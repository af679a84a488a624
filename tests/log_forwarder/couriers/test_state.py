from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from compose_agent.errors import ComposeAgentError
from log_forwarder.couriers.state import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, Health, Pauses
from log_forwarder.sinks.contract import SinkUnavailable


class Clock(threading.Event):
    """Notes how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def pauses(health: Health, clock: Clock) -> Pauses:
    return Pauses("es", health, clock)


def test_pauses_grow_to_a_bound_and_begin_anew_after_a_success(pauses: Pauses, clock: Clock) -> None:
    for _ in range(10):
        pauses.failure(SinkUnavailable("gone"))
    for number, waited in enumerate(clock.waited):
        middle = min(FIRST_PAUSE_SECONDS * 2**number, LAST_PAUSE_SECONDS)
        assert 0.75 * middle <= waited <= 1.25 * middle
    pauses.success()
    pauses.failure(SinkUnavailable("gone"))
    assert clock.waited[-1] <= 1.25 * FIRST_PAUSE_SECONDS


def test_pauses_of_two_hosts_differ(pauses: Pauses, clock: Clock) -> None:
    for _ in range(10):
        pauses.failure(SinkUnavailable("gone"))
        pauses.success()
    assert len(set(clock.waited)) > 1


@pytest.mark.parametrize(
    ("wish", "fits"),
    [
        (30.0, lambda waited: waited == 30.0),
        (1e9, lambda waited: waited == 60.0),
        (0.0, lambda waited: waited <= 1.25 * FIRST_PAUSE_SECONDS),
        (-5.0, lambda waited: waited > 0),
    ],
)
def test_a_sink_is_left_alone_as_long_as_it_asks_within_reason(
    pauses: Pauses, clock: Clock, wish: float, fits: Callable[[float], bool]
) -> None:
    pauses.failure(SinkUnavailable("busy", retry_after=wish))
    assert fits(clock.waited[0])


def test_health_tells_the_last_error_and_counts_by_kind(pauses: Pauses, health: Health) -> None:
    pauses.failure(SinkUnavailable("gone", remedy="start it"))
    pauses.failure(ComposeAgentError("odd"), "busy")
    assert health.error == "odd"
    assert dict(health.failures) == {"unavailable": 1, "busy": 1}
    before = health.last_success
    pauses.success()
    assert health.error == ""
    assert before <= health.last_success <= time.monotonic()


def test_a_failure_is_logged_once_and_the_return_too(
    pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for _ in range(3):
        pauses.failure(SinkUnavailable("gone"))
    for _ in range(2):
        pauses.success()
    assert [record.getMessage() for record in caplog.records] == [
        "sink failed; trying again",
        "sink is back",
    ]


def test_a_stop_cuts_the_pause_short(health: Health) -> None:
    stop = threading.Event()
    pauses = Pauses("es", health, stop)
    thread = threading.Thread(target=pauses.failure, args=(SinkUnavailable("busy", retry_after=60.0),))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
