"""Reading the journal: every question that is asked of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import msgspec

from compose_agent.audit.chain import Entry, Row, entry_of
from compose_agent.typed import json_decoder
from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.journal.records import Occurrence
from remediation.model import Episode, Intent, Signal, State, Target, TargetKind

T = TypeVar("T")

# So far apart may the clocks of those who tell of alerts be.
CLOCKS_DIFFER_SECONDS = 300.0
# The largest number that SQLite has.
_PAST_EVERY_NUMBER = 2**63 - 1

_signal = json_decoder(Signal).decode
_episode = json_decoder(Episode).decode
_intent = json_decoder(Intent).decode
_bucket = json_decoder(Bucket).decode
_breaker = json_decoder(Breaker).decode


class View:
    """The journal as it is in one transaction. Times are Unix seconds."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def inbox(self, limit: int, after: int = 0) -> list[tuple[int, Signal | None]]:
        """Return the oldest signals that nobody has handled, with the numbers that ``handled`` takes.

        None is one that cannot be read: the file was damaged, or written by a later version.
        """
        rows = self._rows("SELECT id, signal FROM inbox WHERE id > ? ORDER BY id LIMIT ?", after, limit)
        return [(number, _readable(data)) for number, data in rows]

    def inbox_size(self) -> int:
        """Return how many signals nobody has handled."""
        return int(self._rows("SELECT count(*) FROM inbox")[0][0])

    def occurrence(self, fingerprint: str, starts_at: float) -> Occurrence | None:
        """Return what is known of one firing of an alert; it is forgotten after a while."""
        rows = self._rows(
            "SELECT firing, count, last_at FROM occurrences WHERE fingerprint = ? AND starts_at = ?",
            fingerprint,
            starts_at,
        )
        return Occurrence(bool(rows[0][0]), *rows[0][1:]) if rows else None

    def is_stale(self, fingerprint: str, starts_at: float, now: float) -> bool:
        """Tell whether this firing of an alert, or one that began after it, has resolved.

        One that is to begin after ``now`` is of a clock that was set back, and says nothing about this one.
        """
        query = (
            "SELECT 1 FROM occurrences WHERE fingerprint = ? AND firing = 0"
            " AND (starts_at = ? OR starts_at > ? AND starts_at <= ?) LIMIT 1"
        )
        return bool(self._rows(query, fingerprint, starts_at, starts_at, now + CLOCKS_DIFFER_SECONDS))

    def episode(self, episode_id: str) -> Episode | None:
        """Return an episode by its id."""
        return self._one(_episode, "SELECT data FROM episodes WHERE id = ?", episode_id)

    def open_episode(self, policy: str, target: Target) -> Episode | None:
        """Return the episode of a policy and a target that is not closed."""
        query = "SELECT data FROM episodes WHERE policy = ? AND target = ? AND closed_at = 0"
        return self._one(_episode, query, policy, str(target))

    def open_episodes(self) -> list[Episode]:
        """Return every episode that is not closed, oldest first."""
        return self._all(_episode, "SELECT data FROM episodes WHERE closed_at = 0 ORDER BY number")

    def last_episode(self, policy: str, target: Target) -> Episode | None:
        """Return the latest episode of a policy and a target, open or closed."""
        query = "SELECT data FROM episodes WHERE policy = ? AND target = ? ORDER BY number DESC LIMIT 1"
        return self._one(_episode, query, policy, str(target))

    def episode_before(self, episode: Episode) -> Episode | None:
        """Return the episode of the same policy and target that came before one, None if there is none."""
        query = (
            "SELECT data FROM episodes WHERE policy = ? AND target = ?"
            " AND number < (SELECT number FROM episodes WHERE id = ?) ORDER BY number DESC LIMIT 1"
        )
        return self._one(_episode, query, episode.policy, str(episode.target), episode.id)

    def episodes_of(self, fingerprint: str) -> list[Episode]:
        """Return the open episodes of an alert, oldest first."""
        query = "SELECT data FROM episodes WHERE fingerprint = ? AND closed_at = 0 ORDER BY number"
        return self._all(_episode, query, fingerprint)

    def episodes_about(self, words: Collection[str], limit: int) -> list[Episode]:
        """Return the latest episodes, newest first, that a word names.

        A word is a fingerprint, an alert, the name of a target, or the id of an episode.
        """
        query = (
            "WITH words AS (SELECT value FROM json_each(?)) SELECT data FROM episodes"
            " WHERE fingerprint IN words OR alert IN words OR name IN words OR id IN words"
            " ORDER BY number DESC LIMIT ?"
        )
        return self._all(_episode, query, _list(words), limit)

    def given_up(self, limit: int) -> list[tuple[Episode, Intent]]:
        """Return the open episodes whose latest intent has failed, with that; oldest first."""
        query = (
            "SELECT episodes.data, intents.data FROM episodes JOIN intents ON intents.number ="
            " (SELECT max(number) FROM intents WHERE episode = episodes.id)"
            " WHERE closed_at = 0 AND state = 'failed' ORDER BY episodes.number LIMIT ?"
        )
        rows = self._rows(query, limit)
        return [(_episode(episode), _intent(intent)) for episode, intent in rows]

    def intent(self, intent_id: str) -> Intent | None:
        """Return an intent by its id."""
        return self._one(_intent, "SELECT data FROM intents WHERE id = ?", intent_id)

    def intent_like(self, beginning: str) -> Intent | None:
        """Return the one intent whose id begins so; None if there is none, or several."""
        query = "SELECT data FROM intents WHERE id >= ? AND id < ? LIMIT 2"
        found = self._all(_intent, query, beginning, f"{beginning}\N{LATIN SMALL LETTER Z}")
        return found[0] if len(found) == 1 and beginning else None

    def live_intent(self, episode_id: str) -> Intent | None:
        """Return the intent of an episode that has not ended."""
        query = (
            "SELECT data FROM intents WHERE episode = ? AND state IN ('planned', 'executing', 'verifying')"
        )
        return self._one(_intent, query, episode_id)

    def intents_of(self, episode_id: str) -> list[Intent]:
        """Return the intents of an episode, newest first."""
        return self._all(
            _intent, "SELECT data FROM intents WHERE episode = ? ORDER BY number DESC", episode_id
        )

    def due(self, now: float, limit: int) -> list[Intent]:
        """Return the planned intents whose time has come, those that wait longest first."""
        query = (
            "SELECT data FROM intents WHERE state = 'planned' AND not_before <= ?"
            " ORDER BY not_before, number LIMIT ?"
        )
        return self._all(_intent, query, now, limit)

    def in_state(self, state: State) -> list[Intent]:
        """Return the intents in a state, oldest first."""
        return self._all(_intent, "SELECT data FROM intents WHERE state = ? ORDER BY number", state)

    def is_anything_live(self) -> bool:
        """Tell whether any intent has not ended."""
        query = "SELECT 1 FROM intents WHERE state IN ('planned', 'executing', 'verifying') LIMIT 1"
        return bool(self._rows(query))

    def begun_after(self, moment: float) -> list[Intent]:
        """Return the intents that began after a moment, oldest first."""
        return self._all(_intent, "SELECT data FROM intents WHERE started_at > ? ORDER BY number", moment)

    def states(self) -> dict[str, int]:
        """Return how many intents are in each state that there is one in."""
        return dict(self._rows("SELECT state, count(*) FROM intents GROUP BY state"))

    def latest_intents(self, limit: int, *, before: int = 0) -> list[tuple[int, Intent]]:
        """Return the latest intents with their numbers, newest first; ``before``: only those before it."""
        query = "SELECT number, data FROM intents WHERE number < ? ORDER BY number DESC LIMIT ?"
        rows = self._rows(query, before or _PAST_EVERY_NUMBER, limit)
        return [(number, _intent(data)) for number, data in rows]

    def busy_targets(self) -> set[Target]:
        """Return what is being acted on or verified."""
        rows = self._rows("SELECT target, name FROM intents WHERE state IN ('executing', 'verifying')")
        return {Target(TargetKind(target.partition(":")[0]), name) for target, name in rows}

    def recent_actions(self, target: Target, since: float) -> list[float]:
        """Return when actions on a target began, oldest first."""
        query = (
            "SELECT started_at FROM intents WHERE target = ? AND started_at >= ? AND started_at > 0"
            " ORDER BY started_at"
        )
        return [at for (at,) in self._rows(query, str(target), since)]

    def bucket(self, key: str) -> Bucket | None:
        """Return what was left of a budget when something was last taken from it."""
        return self._one(_bucket, "SELECT data FROM buckets WHERE key = ?", key)

    def buckets(self) -> dict[str, Bucket]:
        """Return every budget that something was taken from, by key."""
        return {key: _bucket(data) for key, data in self._rows("SELECT key, data FROM buckets")}

    def breaker(self, key: str) -> Breaker | None:
        """Return a breaker that something has happened to."""
        return self._one(_breaker, "SELECT data FROM breakers WHERE key = ?", key)

    def breakers(self) -> dict[str, Breaker]:
        """Return every breaker that something has happened to, by key."""
        return {key: _breaker(data) for key, data in self._rows("SELECT key, data FROM breakers")}

    def flag(self, name: str) -> str | None:
        """Return the value of a flag that is set."""
        rows = self._rows("SELECT value FROM flags WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def flags(self, beginning: str) -> dict[str, str]:
        """Return the flags that are set and whose names begin so."""
        query = "SELECT name, value FROM flags WHERE substr(name, 1, ?) = ?"
        return dict(self._rows(query, len(beginning), beginning))

    def entries_about(self, words: Collection[str], limit: int) -> list[Entry]:
        """Return the latest entries of the audit, oldest first, that have a word among their subjects."""
        query = (
            "SELECT seq, at, kind, body, hash FROM audit WHERE seq IN ("
            "SELECT DISTINCT seq FROM audit_subjects WHERE subject IN (SELECT value FROM json_each(?))"
            " ORDER BY seq DESC LIMIT ?) ORDER BY seq"
        )
        return [entry_of(Row(*row)) for row in self._rows(query, _list(words), limit)]

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Return the entries of the audit behind a number, oldest first."""
        query = "SELECT seq, at, kind, body, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
        return [entry_of(Row(*row)) for row in self._rows(query, after, limit)]

    def entries_of(self, kinds: Collection[str], after: int, limit: int) -> list[Entry]:
        """Return the entries of some kinds behind a number, oldest first."""
        query = (
            "SELECT seq, at, kind, body, hash FROM audit"
            " WHERE seq > ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?"
        )
        return [entry_of(Row(*row)) for row in self._rows(query, after, _list(kinds), limit)]

    def last_entry(self) -> int:
        """Return the number of the newest entry of the audit, 0 if there never was one."""
        query = (
            "SELECT max(coalesce((SELECT max(seq) FROM audit), 0), coalesce(max(seq), 0)) FROM audit_anchors"
        )
        return int(self._rows(query)[0][0])

    def _rows(self, query: str, *values: str | float) -> list[tuple[Any, ...]]:
        return self._database.execute(query, values).fetchall()

    def _one(self, decode: Callable[[bytes], T], query: str, *values: str | float) -> T | None:
        found = self._database.execute(query, values).fetchone()
        return decode(found[0]) if found else None

    def _all(self, decode: Callable[[bytes], T], query: str, *values: str | float) -> list[T]:
        return [decode(data) for (data,) in self._database.execute(query, values)]


def _list(words: Collection[str]) -> str:
    """Return words as SQLite's ``json_each`` takes them."""
    return msgspec.json.encode(list(words)).decode()


def _readable(data: str) -> Signal | None:
    try:
        return _signal(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
