"""Writing the journal: what one transaction may do."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from compose_agent.audit import table as audits
from compose_agent.errors import StateError
from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.journal.tallies import Acted
from remediation.journal.view import View
from remediation.model import Episode, Intent, Signal
from remediation.traces.mention import of_entry, of_signal

_encode = msgspec.json.Encoder().encode


# Errors of SQLite that are about one statement; any other may mean that nothing can be written.
_OF_A_STATEMENT = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError)


class Fault(Exception):
    """A part of a transaction has failed by a mistake of this program, and is undone; the rest may go on."""


class Tx(View):
    """One transaction: what it writes it also sees, and all of it is on disk or nothing.

    ``decisions`` and ``actions`` are what ``count`` and ``count_action`` were told, and taken when all is on
    disk.
    """

    def __init__(self, database: sqlite3.Connection, now: float) -> None:
        super().__init__(database)
        self._now = now
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.actions: list[Acted] = []

    @contextmanager
    def part(self) -> Iterator[None]:
        """Do what is in the block whole, or undo it and raise Fault.

        One signal or intent that the program cannot deal with must not keep it from all others. When the
        state itself cannot be used, that is raised as it is.
        """
        decisions, actions = self.decisions.copy(), len(self.actions)
        self._run("SAVEPOINT part")
        try:
            yield
        except Exception as error:
            if isinstance(error, sqlite3.Error | StateError) and not isinstance(error, _OF_A_STATEMENT):
                raise
            self._run("ROLLBACK TO part")
            self._run("RELEASE part")
            self.decisions = decisions
            del self.actions[actions:]
            raise Fault(repr(error)) from error
        self._run("RELEASE part")

    def receive(self, signals: Iterable[Signal]) -> None:
        """Put signals into the inbox, and into the audit."""
        for signal in signals:
            self.put_back(signal)
            self.audit("received", _subjects(signal), _said(signal))

    def put_back(self, signal: Signal) -> None:
        """Have a signal planned once more, after those that are waiting."""
        self._run("INSERT INTO inbox (signal) VALUES (?)", _text(signal))

    def handled(self, numbers: Iterable[int]) -> None:
        """Take signals out of the inbox."""
        self._database.executemany("DELETE FROM inbox WHERE id = ?", [(number,) for number in numbers])

    def note_occurrence(self, signal: Signal) -> None:
        """Count that an alert was told of."""
        self._run(
            "INSERT INTO occurrences VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET"
            " firing = min(firing, excluded.firing), count = count + 1, last_at = excluded.last_at",
            signal.fingerprint,
            signal.starts_at,
            signal.firing,
            self._now,
        )

    def put_episode(self, episode: Episode) -> None:
        """Write an episode, new or changed; a policy has one open episode for a target."""
        self._run(
            "INSERT INTO episodes (id, policy, target, name, fingerprint, alert, closed_at, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " fingerprint = excluded.fingerprint, closed_at = excluded.closed_at, data = excluded.data",
            episode.id,
            episode.policy,
            str(episode.target),
            episode.target.name,
            episode.fingerprint,
            episode.alert,
            episode.closed_at,
            _text(episode),
        )

    def put_intent(self, intent: Intent) -> None:
        """Write an intent, new or changed; an episode has one live intent."""
        self._run(
            "INSERT INTO intents (id, episode, target, name, state, not_before, started_at, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " state = excluded.state, not_before = excluded.not_before, started_at = excluded.started_at,"
            " data = excluded.data",
            intent.id,
            intent.episode,
            str(intent.target),
            intent.target.name,
            intent.state,
            intent.not_before,
            intent.started_at,
            _text(intent),
        )

    def put_bucket(self, key: str, bucket: Bucket) -> None:
        """Write what is left of a budget."""
        self._run("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", key, self._now, _text(bucket))

    def forget_bucket(self, key: str) -> None:
        """Have a budget as if nothing had been taken from it."""
        self._run("DELETE FROM buckets WHERE key = ?", key)

    def ask_again(self, now: float) -> None:
        """Have every planned intent asked about at ``now`` at the latest."""
        self._run("UPDATE intents SET not_before = ? WHERE state = 'planned' AND not_before > ?", now, now)

    def put_breaker(self, key: str, breaker: Breaker) -> None:
        """Write a breaker; one that nothing has happened to is forgotten."""
        if breaker == Breaker():
            self._run("DELETE FROM breakers WHERE key = ?", key)
        else:
            self._run("INSERT OR REPLACE INTO breakers VALUES (?, ?, ?)", key, self._now, _text(breaker))

    def set_flag(self, name: str, value: str | None) -> None:
        """Set a flag, or take it back with None."""
        if value is None:
            self._run("DELETE FROM flags WHERE name = ?", name)
        else:
            self._run("INSERT OR REPLACE INTO flags VALUES (?, ?)", name, value)

    def audit(self, kind: str, subjects: Mapping[str, str], fields: Mapping[str, Any]) -> None:
        """Append an entry to the audit: ids by what they are, such as ``episode``, and what is to be said."""
        said = {**fields, **of_entry(kind, subjects.get("intent"))}
        audits.append(self._database, self._now, kind, subjects, said)

    def count(self, reason: str, policy: str) -> None:
        """Count a decision for the metrics; ``policy`` is empty when none matched."""
        self.decisions[str(reason), policy] += 1

    def count_action(self, intent: Intent, result: str) -> None:
        """Count what came of an action and how long it took, and for a first step how long to begin."""
        episode = None if intent.rung else self.episode(intent.episode)
        since_alert = intent.started_at - episode.starts_at if episode else None
        received_at = episode.received_at if episode else 0.0
        self.actions.append(
            Acted(
                intent.action,
                str(result),
                since_alert,
                intent.started_at - received_at if received_at else None,
                seconds=self._now - intent.started_at,
                intent=intent.id,
                at=self._now,
            )
        )

    def _run(self, statement: str, *values: str | float | bytes) -> None:
        self._database.execute(statement, values)


def _text(value: msgspec.Struct) -> str:
    return _encode(value).decode()


def _subjects(signal: Signal) -> dict[str, str]:
    """Return what ``why`` finds a signal by."""
    labels = signal.labels
    subjects = {"fingerprint": signal.fingerprint, "alert": signal.name}
    if name := labels.get("name"):
        subjects["container"] = name
    if (project := labels.get("compose_project")) and (service := labels.get("compose_service")):
        subjects["service"] = f"{project}/{service}"
    if group := labels.get("failover_group"):
        subjects["group"] = group
    return subjects


def _said(signal: Signal) -> dict[str, Any]:
    return {
        "source": signal.source,
        "firing": signal.firing,
        "starts_at": signal.starts_at,
        "labels": signal.labels,
        **of_signal(signal.traceparent),
    }
