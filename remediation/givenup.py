"""An alert for every episode in which nothing has helped, from when that is known until the episode ends.

What is to be raised is read from the journal each time, what was raised is a flag of it: set before
Alertmanager is told, so that after a crash what is over meanwhile is still resolved. An alert that nobody
repeats, because this agent is gone, ends by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from compose_agent.typed import json_decoder
from remediation.alertmanager import GIVEN_UP_ALERT, Alertmanager
from remediation.journal import Journal
from remediation.model import Episode, Intent
from remediation.traces.mention import for_alert

RAISED_FLAG = "given-up"
# Several repetitions may fail before an alert ends that should not.
_REPEAT_SECONDS, _LASTS_SECONDS = 60.0, 300.0
# When more is beyond help, more alerts do not help either.
_MOST = 500


class Alert(msgspec.Struct, frozen=True):
    """An alert of ours; ``starts_at`` in Unix seconds."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: float


_Alerts = dict[str, Alert]
_decoder = json_decoder(_Alerts)


class GivenUp:
    """Follows the episodes of a journal; ``now`` is the clock in Unix seconds."""

    def __init__(self, journal: Journal, now: Callable[[], float] = time.time) -> None:
        self._journal = journal
        self._now = now
        self._said: set[str] = set()
        self._repeat_at = 0.0

    def follow(self, alertmanager: Alertmanager, *, wanted: bool) -> None:
        """Raise what is given up and resolve what is over; raises AlertmanagerError and StateError.

        When it is not ``wanted`` everything is over.
        """
        now, raised = self._now(), self._raised()
        alerts = self._alerts() if wanted else {}
        if not alerts.keys() <= raised.keys():
            self._keep({**raised, **alerts})
        for episode in raised.keys() - alerts.keys():
            _raise(alertmanager, raised[episode], now)
        self._raise_all(alertmanager, alerts, now)
        if not raised.keys() <= alerts.keys():
            self._keep(alerts)

    def _raise_all(self, alertmanager: Alertmanager, alerts: _Alerts, now: float) -> None:
        """Raise alerts that were not for a while, and go on with the rest the next time if one fails."""
        if now >= self._repeat_at:
            self._said.clear()
            self._repeat_at = now + _REPEAT_SECONDS
        for episode in alerts.keys() - self._said:
            _raise(alertmanager, alerts[episode], now + _LASTS_SECONDS)
            self._said.add(episode)

    def _alerts(self) -> _Alerts:
        found = self._journal.read(lambda view: view.given_up(_MOST))
        return {episode.id: _alert(episode, intent) for episode, intent in found}

    def _raised(self) -> _Alerts:
        text = self._journal.read(lambda view: view.flag(RAISED_FLAG))
        return _decoder.decode(text) if text else {}

    def _keep(self, alerts: _Alerts) -> None:
        text = msgspec.json.encode(alerts).decode() if alerts else None
        self._journal.write(lambda tx: tx.set_flag(RAISED_FLAG, text))


def _raise(alertmanager: Alertmanager, alert: Alert, ends_at: float) -> None:
    alertmanager.raise_alert(alert.labels, alert.annotations, starts_at=alert.starts_at, ends_at=ends_at)


def _alert(episode: Episode, intent: Intent) -> Alert:
    target = str(episode.target)
    return Alert(
        labels={
            "alertname": GIVEN_UP_ALERT,
            "policy": episode.policy,
            "target": target,
            "action": intent.action,
            "alert": episode.alert,
        },
        annotations={
            "summary": f"{episode.alert}: nothing that was done to {target} has helped",
            "description": f"The last was {intent.action}: {intent.detail}. 'compose-agent why "
            f"{episode.target.name}' tells all of it.",
            **for_alert(intent.id),
        },
        starts_at=intent.ended_at,
    )
