"""Alertmanager's way to send and send again, in short intervals, with what makes it hard for a receiver.

Its rules (tests/contract/test_alertmanager.py holds them): a group is sent when something in it is new, when
an alert that was sent as firing has resolved, or when the repeat interval is over; a 5xx or a broken
connection is tried again with ever longer pauses until the group's interval is over; what was never taken is
sent with the next interval; of two peers the second waits, and sends what it does not know to be sent. On top
of that old requests come again later, as they do from a peer or a proxy that was cut off: a firing one after
the resolved one, a resolved one after the next firing one.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any

Labels = tuple[tuple[str, str], ...]

# Alertmanager's own are 10 s at the least; a receiver that answers later has failed.
ANSWER_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.1
_PAUSE_GROWTH = 1.5
_LONGEST_PAUSE_SECONDS = 1.0
_NEVER = "0001-01-01T00:00:00Z"
_FINGERPRINT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Timing:
    """Intervals in seconds; the second peer waits ``peer`` before it sends."""

    group: float = 0.5
    repeat: float = 3.0
    peer: float = 0.3


@dataclass(frozen=True, slots=True)
class Mischief:
    """What goes wrong between Alertmanager and its receiver, as shares of requests.

    ``unheard`` is how often one peer does not hear from the other that something was sent, ``again`` how
    often a request that was taken comes once more within ``late`` seconds.
    """

    peers: int = 1
    unheard: float = 0.0
    again: float = 0.0
    late: float = 2.0


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; ``ends`` is 0 while it fires. Times are Unix seconds."""

    labels: Labels
    starts: float
    ends: float = 0.0

    @property
    def occurrence(self) -> tuple[Labels, float]:
        """What stays the same while it fires and resolves."""
        return self.labels, self.starts

    def wire(self) -> dict[str, Any]:
        """Return it as it stands in a notification."""
        return {
            "status": "resolved" if self.ends else "firing",
            "labels": dict(self.labels),
            "annotations": {},
            "startsAt": _stamp(self.starts),
            "endsAt": _stamp(self.ends) if self.ends else _NEVER,
            "generatorURL": "",
            "fingerprint": fingerprint(self.labels),
        }


@dataclass(slots=True)
class Log:
    """What a peer knows to be sent of one group: the alerts as they were, and when."""

    sent: dict[Labels, Alert] = field(default_factory=dict)
    at: float = 0.0


@dataclass(slots=True)
class _Group:
    """A group at one peer: its alerts, and what that peer knows to be sent of them."""

    key: str
    peer: int
    alerts: dict[Labels, Alert] = field(default_factory=dict)
    log: Log = field(default_factory=Log)


def needs_sending(alerts: Iterable[Alert], log: Log, now: float, repeat: float) -> bool:
    """Tell whether a group is to be sent, by Alertmanager's rule."""
    alerts = list(alerts)
    firing = [each for each in alerts if not each.ends]
    known_firing = {labels for labels, each in log.sent.items() if not each.ends}
    if any(each.labels not in known_firing for each in firing):
        return True
    if any(each.ends and each.labels in known_firing for each in alerts):
        return True
    return bool(firing) and now - log.at >= repeat


def notification(group: str, alerts: Sequence[Alert], peer: int) -> bytes:
    """Return the body of a webhook request."""
    status = "firing" if any(not each.ends for each in alerts) else "resolved"
    body = {
        "version": "4",
        "groupKey": group,
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "remediation",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": f"http://alertmanager-{peer}:9093",
        "alerts": [each.wire() for each in alerts],
    }
    return json.dumps(body).encode()


def fingerprint(labels: Labels) -> str:
    """Return 16 hexadecimal digits that follow from a set of labels."""
    return blake2b(repr(sorted(labels)).encode(), digest_size=_FINGERPRINT_BYTES).hexdigest()


class Sender:
    """Sends alerts to ``send`` (a body → its status, 0 for none) until ``close``.

    ``group_of`` names the group of an alert by its labels. Which occurrences were acknowledged is in
    ``acknowledged``.
    """

    def __init__(
        self,
        send: Callable[[bytes], int],
        group_of: Callable[[Alert], str],
        seed: int,
        *,
        timing: Timing = Timing(),
        mischief: Mischief = Mischief(),
    ) -> None:
        self._send = send
        self._group_of = group_of
        self._timing = timing
        self._mischief = mischief
        self._random = random.Random(seed)  # noqa: S311 - which way it goes wrong, not a secret
        self._lock = threading.Lock()
        self._groups: dict[str, list[_Group]] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._late: list[tuple[float, bytes]] = []
        self._taken: list[bytes] = []
        self.acknowledged: set[tuple[Labels, float]] = set()
        self.requests = self.refused = 0
        self._spawn(self._send_late)

    def fire(self, alert: Alert) -> None:
        """Let an alert fire."""
        self._put(alert)

    def resolve(self, alert: Alert) -> None:
        """Let an alert that fires resolve now."""
        self._put(replace(alert, ends=time.time()))

    def is_told(self, alert: Alert) -> bool:
        """Tell whether the end of an alert is told by everybody who told that it fires."""
        with self._lock:
            for group in self._groups.get(self._group_of(alert), ()):
                found = group.alerts.get(alert.labels)
                if found is not None and found.starts == alert.starts:
                    return False
        return True

    def everything_again(self) -> None:
        """Send everything that was ever taken once more, the newest first."""
        for body in reversed(self._taken):
            self._deliver(body)

    def close(self) -> None:
        """Send nothing more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(ANSWER_SECONDS * 2)

    def _put(self, alert: Alert) -> None:
        key = self._group_of(alert)
        with self._lock:
            new = key not in self._groups
            groups = self._groups.setdefault(key, [_Group(key, peer) for peer in range(self._mischief.peers)])
            for group in groups:
                group.alerts[alert.labels] = alert
        if new:
            for group in groups:
                self._spawn(partial(self._run_group, group))

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run_group(self, group: _Group) -> None:
        while not self._stop.is_set():
            self._flush(group)
            self._stop.wait(self._timing.group)

    def _flush(self, group: _Group) -> None:
        if self._stop.wait(group.peer * self._timing.peer):
            return
        with self._lock:
            alerts = list(group.alerts.values())
            due = needs_sending(alerts, group.log, time.time(), self._timing.repeat)
        if due:
            if not self._send_with_retries(notification(group.key, alerts, group.peer)):
                return
            self._note_sent(group, alerts)
        self._forget(group, alerts)

    def _send_with_retries(self, body: bytes) -> bool:
        """Send until it is taken or the interval is over; a 4xx is not tried again."""
        pause, ends = _FIRST_PAUSE_SECONDS, time.monotonic() + ANSWER_SECONDS
        while not self._stop.is_set() and time.monotonic() < ends:
            status = self._deliver(body)
            if 200 <= status < 300:
                return True
            if 300 <= status < 500:
                self.refused += 1
                return False
            self._stop.wait(pause * self._dice(0.5, 1.5))
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)
        return False

    def _deliver(self, body: bytes) -> int:
        status = self._send(body)
        again = self._dice() < self._mischief.again
        at = time.monotonic() + self._dice(0.0, self._mischief.late)
        with self._lock:
            self.requests += 1
            if 200 <= status < 300:
                self._taken.append(body)
                self._late += [(at, body)] if again else []
        return status

    def _note_sent(self, sender: _Group, alerts: Sequence[Alert]) -> None:
        unheard = {each.peer for each in self._groups[sender.key] if self._dice() < self._mischief.unheard}
        with self._lock:
            self.acknowledged |= {each.occurrence for each in alerts}
            for each in self._groups[sender.key]:
                if each is sender or each.peer not in unheard:
                    each.log = Log({alert.labels: alert for alert in alerts}, time.time())

    def _forget(self, group: _Group, alerts: Sequence[Alert]) -> None:
        """Drop what has resolved and is told, as long as it has not changed meanwhile."""
        with self._lock:
            for each in alerts:
                if each.ends and group.alerts.get(each.labels) == each:
                    del group.alerts[each.labels]

    def _send_late(self) -> None:
        while not self._stop.wait(0.1):
            now = time.monotonic()
            with self._lock:
                due = [body for at, body in self._late if at <= now]
                self._late = [each for each in self._late if each[0] > now]
            for body in due:
                self._send(body)

    def _dice(self, low: float = 0.0, high: float = 1.0) -> float:
        with self._lock:
            return self._random.uniform(low, high)


def post_to(host: str, port: int, path: str = "/webhook") -> Callable[[bytes], int]:
    """Return what posts a body there and returns the status, 0 when there was no answer."""

    def post(body: bytes) -> int:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                response.read()
                return response.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    return post


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
