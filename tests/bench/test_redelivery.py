from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.redelivery import Alert, Log, Mischief, Sender, Timing, needs_sending, notification

WEB, DB = (("name", "web"),), (("name", "db"),)
FAST = Timing(group=0.02, repeat=60.0, peer=0.02)
ORDERLY = Mischief()
PATIENCE_SECONDS = 20.0


def fired(labels: tuple[tuple[str, str], ...] = WEB, starts: float = 1.0) -> Alert:
    return Alert(labels, starts)


def resolved(labels: tuple[tuple[str, str], ...] = WEB) -> Alert:
    return Alert(labels, 1.0, 2.0)


def sent(*alerts: Alert) -> Log:
    return Log({each.labels: each for each in alerts}, 100.0)


@pytest.mark.parametrize(
    ("alerts", "log", "due"),
    [
        ([fired()], Log(), True),
        ([fired()], sent(fired()), False),
        ([fired(starts=9.0)], sent(fired()), False),
        ([fired(), fired(DB)], sent(fired()), True),
        ([resolved()], sent(fired()), True),
        ([resolved()], Log(), False),
        ([resolved(), fired(DB)], sent(fired(), fired(DB)), True),
        ([fired()], sent(resolved()), True),
        ([], Log(), False),
    ],
)
def test_when_a_group_is_sent(alerts: list[Alert], log: Log, due: bool) -> None:
    assert needs_sending(alerts, log, 101.0, repeat=10.0) is due


def test_what_fires_on_is_repeated() -> None:
    assert needs_sending([fired()], sent(fired()), 110.0, repeat=10.0)


def test_a_notification_has_each_alert_with_its_own_status() -> None:
    body = json.loads(notification("g", [fired(), resolved(DB)], 1))

    assert body["status"] == "firing"
    assert [each["status"] for each in body["alerts"]] == ["firing", "resolved"]
    assert body["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert body["alerts"][1]["startsAt"] == "1970-01-01T00:00:01Z"
    assert len({each["fingerprint"] for each in body["alerts"]}) == 2


class Receiver:
    """Takes note of what it gets and answers from a list, 202 when that is over."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[list[tuple[str, str]]] = []
        self._statuses = list(statuses)
        self._lock = threading.Lock()

    def __call__(self, body: bytes) -> int:
        with self._lock:
            alerts = json.loads(body)["alerts"]
            self.got.append([(each["labels"]["name"], each["status"]) for each in alerts])
            return self._statuses.pop(0) if self._statuses else 202


def eventually(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < ends, "what was waited for has not come"
        time.sleep(0.005)


def send_one(
    receiver: Receiver, mischief: Mischief = ORDERLY, *, firing: int = 1, timing: Timing = FAST
) -> Sender:
    """Fire an alert, resolve it when it was sent so often and taken, and return when that is told."""
    sender = Sender(receiver, lambda _: "all", 1, timing=timing, mischief=mischief)
    alert = Alert(WEB, time.time())
    sender.fire(alert)
    eventually(lambda: alert.occurrence in sender.acknowledged and len(receiver.got) >= firing)
    sender.resolve(alert)
    eventually(lambda: sender.is_told(alert))
    return sender


@pytest.mark.parametrize("statuses", [(0,), (500, 503), (400,)])
def test_it_sends_until_it_is_taken(statuses: tuple[int, ...]) -> None:
    receiver = Receiver(*statuses)
    send_one(receiver).close()

    assert receiver.got == [[("web", "firing")]] * (len(statuses) + 1) + [[("web", "resolved")]]


def test_two_peers_that_hear_one_another_send_once() -> None:
    receiver = Receiver()
    # So long after the first one that it has been heard of on a loaded machine too.
    send_one(receiver, Mischief(peers=2), timing=replace(FAST, peer=1.0)).close()

    assert receiver.got == [[("web", "firing")], [("web", "resolved")]]


def test_two_peers_that_do_not_send_twice() -> None:
    receiver = Receiver()
    send_one(receiver, Mischief(peers=2, unheard=1.0), firing=2).close()

    assert sorted(receiver.got) == [[("web", "firing")]] * 2 + [[("web", "resolved")]] * 2


def test_old_requests_come_again() -> None:
    receiver = Receiver()
    sender = send_one(receiver, Mischief(again=1.0, late=0.01))
    eventually(lambda: len(receiver.got) >= 4)
    sender.everything_again()
    sender.close()

    assert receiver.got[-2:] == [[("web", "resolved")], [("web", "firing")]]
