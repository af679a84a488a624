from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from compose_agent.audit.table import PART_ENTRIES
from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.journal import Journal, Tx, verify_audit
from remediation.journal.upkeep import Retention, tidy
from remediation.model import State
from tests.remediation.journal.making import episode, intent, signal

KEEP = Retention(history_seconds=100.0, audit_entries=10**6, occurrence_seconds=10.0, budget_seconds=20.0)


class Clock:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def upkeep(journal: Journal, clock: Clock, keep: Retention = KEEP) -> None:
    while journal.write(lambda tx: tidy(tx, journal._database, keep, clock.now)):
        pass


def test_what_is_old_is_forgotten_and_what_is_open_stays(tmp_path: Path) -> None:
    clock = Clock()
    journal = Journal(tmp_path, now=clock)
    journal.write(lambda tx: tx.note_occurrence(signal()))
    journal.write(lambda tx: tx.put_bucket("host", Bucket(1.0, 0.0)))
    journal.write(lambda tx: tx.put_breaker("b", Breaker(1, 0.0)))
    journal.write(lambda tx: tx.put_episode(episode("e1", closed_at=1000.0)))
    journal.write(lambda tx: tx.put_intent(intent("i1", state=State.DONE)))
    journal.write(lambda tx: tx.put_episode(episode("e2")))
    journal.write(lambda tx: tx.put_intent(intent("i2", episode="e2")))
    left = []
    for now in (1005.0, 1015.0, 1025.0, 1105.0):
        clock.now = now
        upkeep(journal, clock)
        left.append(
            journal.read(
                lambda view: [
                    view.occurrence("f1", 1000.0) is not None,
                    view.bucket("host") is not None,
                    view.breaker("b") is not None,
                    view.episode("e1") is not None,
                    view.intent("i1") is not None,
                ]
            )
        )
    assert left == [
        [True, True, True, True, True],
        [False, True, True, True, True],
        [False, False, False, True, True],
        [False, False, False, False, False],
    ]
    assert journal.read(lambda view: (view.episode("e2"), view.intent("i2"))) == (
        episode("e2"),
        intent("i2", episode="e2"),
    )
    journal.close()


def fill(journal: Journal, begin: int, end: int) -> None:
    """Write entries of the audit about ``begin`` and each further number before ``end``."""

    def write(tx: Tx) -> None:
        for number in range(begin, end):
            tx.audit("acted", {"intent": f"i{number}"}, {})

    journal.write(write)


def test_the_audit_is_cut_in_whole_parts_and_still_holds(tmp_path: Path) -> None:
    clock = Clock()
    journal = Journal(tmp_path, now=clock)
    fill(journal, 0, 2 * PART_ENTRIES + 100)
    clock.now = 1050.0
    fill(journal, 2 * PART_ENTRIES + 100, 3 * PART_ENTRIES + 100)
    upkeep(journal, clock)
    assert journal.read(lambda view: view.entries(0, 1))[0].seq == 1

    clock.now = 1101.0
    upkeep(journal, clock)
    first = journal.read(lambda view: view.entries(0, 1))[0].seq
    # The part that is only half old stays.
    assert first == 2 * PART_ENTRIES + 1
    assert journal.read(lambda view: view.entries_about(["i0", f"i{2 * PART_ENTRIES - 1}"], 9)) == []
    assert len(journal.read(lambda view: view.entries_about([f"i{2 * PART_ENTRIES}"], 9))) == 1
    verdict = verify_audit(tmp_path)
    assert (verdict.broken, verdict.entries) == (0, PART_ENTRIES + 100 + 2)

    clock.now = 9999.0
    upkeep(journal, clock)
    journal.write(lambda tx: tx.audit("acted", {}, {}))
    assert verify_audit(tmp_path).broken == 0
    journal.close()


def test_the_audit_never_has_many_more_entries_than_it_may(tmp_path: Path) -> None:
    clock = Clock()
    journal = Journal(tmp_path, now=clock)
    fill(journal, 0, 3 * PART_ENTRIES)
    upkeep(journal, clock, Retention(audit_entries=PART_ENTRIES))
    assert verify_audit(tmp_path).entries < 2 * PART_ENTRIES
    assert verify_audit(tmp_path).broken == 0
    journal.close()


def test_only_what_was_announced_can_be_cut(tmp_path: Path) -> None:
    clock = Clock()
    journal = Journal(tmp_path, now=clock)
    fill(journal, 0, PART_ENTRIES + 100)
    upkeep(journal, clock, Retention(audit_entries=1))
    journal.close()
    with closing(sqlite3.connect(tmp_path / "remediation.db")) as database:
        with pytest.raises(sqlite3.IntegrityError, match="only cut up to an anchor"):
            database.execute("DELETE FROM audit")
        for statement in ("DELETE FROM audit_anchors", "UPDATE audit_anchors SET seq = 99999"):
            with pytest.raises(sqlite3.IntegrityError, match="anchors of the audit stay"):
                database.execute(statement)
