"""A clock that is set back by a year, over a real journal: nothing waits for that year to pass again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remediation.clock import is_ahead, set_back
from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.journal import Journal
from remediation.model import Episode, State
from tests.remediation.samples import NOW, intent, signal

YEAR = 365 * 86_400.0
LATER = NOW + YEAR


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return an empty journal."""
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def test_nothing_waits_for_a_time_that_was_taken_back(journal: Journal) -> None:
    waiting = intent(created_at=LATER, not_before=LATER + 1)
    looked_at = intent(id="i2", episode="e2", state=State.VERIFYING, started_at=LATER, acted_at=LATER)
    ended = intent(id="i3", episode="e3", state=State.DONE, started_at=LATER)
    old = intent(id="i4", episode="e4", state=State.DONE, started_at=NOW - 5)
    told = Episode(
        id="e1",
        policy="p",
        target=waiting.target,
        fingerprint="f",
        alert="a",
        starts_at=NOW,
        opened_at=LATER,
        last_signal_at=LATER,
    )
    for each in (waiting, looked_at, ended, old):
        journal.write(lambda tx, each=each: tx.put_intent(each))  # type: ignore[misc]
    journal.write(lambda tx: tx.put_episode(told))
    journal.write(lambda tx: tx.put_bucket("host", Bucket(0.0, LATER)))
    journal.write(lambda tx: tx.put_breaker("p:t", Breaker(3, LATER, trial=True)))
    assert journal.read(lambda view: is_ahead(view, NOW))
    journal.write(lambda tx: set_back(tx, NOW))
    assert not journal.read(lambda view: is_ahead(view, NOW))

    assert [each.id for each in journal.read(lambda view: view.due(NOW, 9))] == ["i1"]
    (verified,) = journal.read(lambda view: view.in_state(State.VERIFYING))
    assert verified.acted_at == NOW
    assert journal.read(lambda view: view.recent_actions(waiting.target, NOW - 9)) == [NOW - 5, NOW, NOW]
    assert journal.read(lambda view: view.bucket("host")) == Bucket(0.0, NOW)
    assert journal.read(lambda view: view.breaker("p:t")) == Breaker(3, NOW, trial=True)
    assert journal.read(lambda view: view.open_episodes())[0].last_signal_at == NOW


def test_what_resolved_by_a_clock_that_was_ahead_silences_nothing(journal: Journal) -> None:
    journal.write(lambda tx: tx.note_occurrence(signal(starts_at=LATER, firing=False)))
    journal.write(lambda tx: tx.note_occurrence(signal(starts_at=NOW, firing=False)))
    for starts_at, stale in ((NOW - 1, True), (NOW, True), (NOW + 1, False), (LATER, True)):
        found = journal.read(lambda view, at=starts_at: view.is_stale("fp-web", at, NOW + 2))  # type: ignore[misc]
        assert found is stale
