"""From a real journal to a real spool, over crashes at any place between them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from compose_agent.tracing.records import Span
from compose_agent.tracing.spool import Spool
from remediation.journal import Journal, Tx
from remediation.model import Reason, State
from remediation.planner import suppress
from remediation.traces.follower import MARK, Follower
from remediation.traces.seen import Seen
from tests.remediation.journal.making import episode, intent

RESOURCE = {"service.name": "test"}


class Taker:
    """The pipeline's part, over a spool; ``dies`` makes a crash of the next append, before or after it."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(folder, RESOURCE, exporting=True)
        self.dies = ""
        self._names: list[str] = []

    def append(self, spans: Sequence[Span], marks: Mapping[str, int] | None = None) -> bool:
        if self.dies == "before":
            raise ConnectionAbortedError
        taken = self.spool.append(spans, marks=marks, again=True)
        if self.dies == "after":
            raise ConnectionAbortedError
        return taken

    def mark(self, name: str) -> int | None:
        return self.spool.mark(name)

    def names(self) -> list[str]:
        """Take the spans out and return what all that were ever taken out are called."""
        while batch := self.spool.batch(1000):
            self._names += [each.name for each in batch.spans]
            self.spool.settle(batch)
        return self._names


def follower(journal: Journal, taker: Taker) -> Follower:
    made = Follower(journal, lambda _: {}, Seen())
    made._taker = taker
    return made


def act(journal: Journal, number: int) -> None:
    """Write what the engine writes about one action from its plan to its end."""
    ids = {"episode": f"e{number}", "intent": f"i{number}"}
    of = {"policy": f"p{number}", "fingerprint": f"f{number}"}

    def write(tx: Tx) -> None:
        tx.put_episode(episode(ids["episode"], **of))
        tx.put_intent(intent(ids["intent"], episode=ids["episode"], state=State.DONE, started_at=1002.0))
        tx.audit("decided", ids, {"decision": "planned"})
        tx.audit("decided", ids, {"decision": "acts"})
        tx.audit("acted", ids, {"result": "done"})
        tx.audit("verified", ids, {"helped": True, "detail": "well"})

    journal.write(write)


WHOLE = ["decide", "commit", "verify", "remediate mend"]


def test_it_begins_with_what_is_done_from_now_on(journal: Journal, tmp_path: Path) -> None:
    act(journal, 1)
    taker = Taker(tmp_path / "spool")
    started = Follower(journal, lambda _: {}, Seen())
    started.start(taker)
    act(journal, 2)
    deadline = time.monotonic() + 20
    while len(taker.names()) < len(WHOLE):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started.stop()
    assert taker.names() == WHOLE


def test_a_crash_between_journal_and_spool_doubles_nothing_and_loses_nothing(
    journal: Journal, tmp_path: Path
) -> None:
    taker = Taker(tmp_path / "spool")
    taker.append([], {MARK: 0})
    for number, dies in enumerate(("before", "after", "", "after", "before", "")):
        act(journal, number)
        taker.dies = dies
        try:
            follower(journal, taker).step()
        except ConnectionAbortedError:
            taker.spool.abandon()
            taker = Taker(tmp_path / "spool")
    follower(journal, taker).step()
    assert taker.names() == WHOLE * 6


def test_many_entries_are_taken_in_parts(journal: Journal, tmp_path: Path) -> None:
    taker = Taker(tmp_path / "spool")
    taker.append([], {MARK: 0})
    for number in range(60):
        act(journal, number)
    one = follower(journal, taker)
    steps = 1
    while one.step():
        steps += 1
    assert steps == 2
    assert len(taker.names()) == 60 * len(WHOLE)


def others(tx: Tx, count: int) -> None:
    for _ in range(count):
        tx.audit("told", {"intent": "i"}, {})


def test_entries_of_other_kinds_are_passed_over(journal: Journal, tmp_path: Path) -> None:
    taker = Taker(tmp_path / "spool")
    taker.append([], {MARK: 0})
    for number in range(3):
        journal.write(partial(others, count=50))
        act(journal, number)
        follower(journal, taker).step()
        assert taker.mark(MARK) == journal.read(lambda view: view.last_entry())
    assert taker.names() == WHOLE * 3
    journal.write(partial(others, count=150))
    follower(journal, taker).step()
    assert taker.mark(MARK) == journal.read(lambda view: view.last_entry())


def test_what_could_not_be_taken_is_given_again_although_nothing_new_is_written(
    journal: Journal, tmp_path: Path
) -> None:
    taker = Taker(tmp_path / "spool")
    taker.append([], {MARK: 0})
    act(journal, 1)
    one = follower(journal, taker)
    taker.dies = "before"
    one._follow()
    assert taker.names() == []
    taker.dies = ""
    one._follow()
    assert taker.names() == WHOLE


def test_a_suppressed_action_is_told(journal: Journal, tmp_path: Path) -> None:
    taker = Taker(tmp_path / "spool")
    taker.append([], {MARK: 0})

    def write(tx: Tx) -> None:
        tx.put_episode(episode())
        tx.put_intent(intent())
        tx.audit("decided", {"episode": "e1", "intent": "i1"}, {"decision": "planned"})
        suppress(tx, intent(), Reason.DRY_RUN, "as asked", 1005.0)

    journal.write(write)
    follower(journal, taker).step()
    assert taker.names() == ["decide", "remediate mend"]


def test_links_go_to_the_actions_before_and_after(journal: Journal, tmp_path: Path) -> None:
    taker = Taker(tmp_path / "spool")
    taker.append([], {MARK: 0})

    def write(tx: Tx) -> None:
        tx.put_episode(episode())
        tx.put_intent(intent("i1", state=State.ESCALATED, detail="still ill"))
        ids = {"episode": "e1", "intent": "i1"}
        tx.audit("verified", ids, {"helped": False, "detail": "still ill", "next": "recreate"})
        tx.put_intent(intent("i2", rung=1, state=State.DONE))
        tx.audit("verified", {"episode": "e1", "intent": "i2"}, {"helped": True, "detail": "well"})

    journal.write(write)
    follower(journal, taker).step()
    batch = taker.spool.batch(100)
    assert batch is not None
    links = {
        each.name: [link.attributes["compose_agent.link"] for link in each.links] for each in batch.spans[:3]
    }
    assert links == {"verify": [], "escalate": ["next action"], "remediate mend": []}
    (second,) = [each for each in batch.spans if each.links and each.name == "remediate mend"]
    assert [link.attributes["compose_agent.link"] for link in second.links] == ["earlier action"]
