from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd.verbs.journal import KEEP_SECONDS, Journal
from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.errors import InstanceRunning, StateError

DONE = Outcome(result=Result.DONE, details={"started_at": "now"})
REFUSED = Outcome(result=Result.REFUSED, reason="no")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    made = Journal(tmp_path, clock=clock)
    yield made
    made.close()


def asked(id: str) -> VerbRequest:
    return VerbRequest(id=id, verb="restart", target="web", arguments={"timeout": 3}, reason="because")


def test_a_request_goes_from_unknown_to_started_to_ended(journal: Journal, clock: Clock) -> None:
    assert journal.find("a") is None
    journal.start(asked("a"), "web", {"started_at": "before", "engine_ns": 2**60})
    begun = journal.find("a")
    assert begun is not None
    assert (begun.request, begun.facts) == (asked("a"), {"started_at": "before", "engine_ns": 2**60})
    assert (begun.started_at, begun.outcome, begun.ended_at) == (clock.now, None, None)
    assert journal.started() == [begun]
    clock.now += 5
    journal.end("a", DONE)
    ended = journal.find("a")
    assert ended is not None
    assert (ended.outcome, ended.ended_at) == (DONE, clock.now)
    assert journal.started() == []


def test_a_refusal_was_never_started(journal: Journal) -> None:
    journal.refuse(asked("a"), "web", REFUSED)
    found = journal.find("a")
    assert found is not None
    assert (found.outcome, found.started_at) == (REFUSED, None)
    assert journal.started_since(0) == 0


def test_an_id_is_started_once(journal: Journal) -> None:
    journal.start(asked("a"), "web", {})
    with pytest.raises(StateError):
        journal.start(asked("a"), "web", {})


def test_what_was_begun_is_counted_by_time_and_subject(journal: Journal, clock: Clock) -> None:
    for number, subject in enumerate(("web", "web", "db")):
        clock.now += 10
        journal.start(asked(str(number)), subject, {})
    assert journal.started_since(0) == 3
    assert journal.started_since(0, "web") == 2
    assert journal.started_since(clock.now - 11) == 2
    assert journal.started_since(clock.now - 11, "web") == 1


def test_it_is_there_for_the_next_one(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.start(asked("a"), "web", {"id": "x"})
    first.close()
    second = Journal(tmp_path)
    assert [entry.request.id for entry in second.started()] == ["a"]
    second.close()


@pytest.mark.usefixtures("journal")
def test_there_is_one_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(InstanceRunning, match=r"a broker or remediation role runs on .* already"):
        Journal(tmp_path)


def test_nobody_else_may_read_it_and_nothing_is_lost_with_the_power(tmp_path: Path, journal: Journal) -> None:
    assert stat.S_IMODE((tmp_path / "broker.db").stat().st_mode) == 0o600
    assert journal._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_ended_long_ago_is_forgotten_and_what_did_not_end_never(journal: Journal, clock: Clock) -> None:
    journal.start(asked("open"), "web", {})
    journal.start(asked("old"), "web", {})
    journal.end("old", DONE)
    clock.now += KEEP_SECONDS / 2
    journal.refuse(asked("young"), "web", REFUSED)
    clock.now += KEEP_SECONDS / 2 + 1
    journal.prune()
    assert journal.find("old") is None
    assert journal.find("young") is not None
    assert [entry.request.id for entry in journal.started()] == ["open"]


def test_of_too_many_the_oldest_are_forgotten(journal: Journal, clock: Clock) -> None:
    journal.start(asked("open"), "web", {})
    for number in range(5):
        clock.now += 1
        journal.refuse(asked(str(number)), "web", REFUSED)
    journal.prune(keep_rows=2)
    assert [each for each in "01234" if journal.find(each)] == ["3", "4"]
    assert journal.find("open") is not None


def test_pruning_comes_by_itself(tmp_path: Path, clock: Clock) -> None:
    journal = Journal(tmp_path, clock=clock)
    journal.refuse(asked("old"), "web", REFUSED)
    clock.now += KEEP_SECONDS + 1
    for number in range(300):
        journal.refuse(asked(str(number)), "web", REFUSED)
    assert journal.find("old") is None
    journal.close()


def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    database = sqlite3.connect(tmp_path / "broker.db")
    database.execute("INSERT INTO requests (id, subject, request, facts) VALUES ('a', 'web', x'c1', x'80')")
    database.commit()
    database.close()
    journal = Journal(tmp_path)
    with pytest.raises(StateError, match="look at the containers before you act on them"):
        journal.find("a")
    journal.close()
