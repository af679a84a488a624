from __future__ import annotations

import pytest

from compose_agent.errors import StateError
from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.journal import Journal, Occurrence
from remediation.model import State, Target, TargetKind
from tests.remediation.journal.making import SHOP_WEB, WEB, episode, intent, signal

OTHER = Target(TargetKind.CONTAINER, "shop-db-1")


def test_the_inbox_gives_signals_in_their_order_until_they_are_handled(journal: Journal) -> None:
    hostile = {"name": 'a"b;\n\0\u202e', "": "'; DROP TABLE inbox"}
    journal.receive([signal("f1"), signal("f2", labels=hostile)])
    journal.receive([signal("f3")])
    first, second = journal.read(lambda view: view.inbox(2))
    assert (first[1], second[1]) == (signal("f1"), signal("f2", labels=hostile))
    journal.write(lambda tx: tx.handled([first[0], second[0]]))
    assert [each.fingerprint for _, each in journal.read(lambda view: view.inbox(9)) if each] == ["f3"]
    assert journal.read(lambda view: view.inbox_size()) == 1


def test_a_number_of_the_inbox_is_never_given_twice(journal: Journal) -> None:
    numbers = set()
    for _ in range(3):
        journal.receive([signal()])
        ((number, _),) = journal.read(lambda view: view.inbox(9))
        journal.write(lambda tx, number=number: tx.handled([number]))  # type: ignore[misc]
        numbers.add(number)
    assert len(numbers) == 3


def test_an_occurrence_counts_and_stays_resolved(journal: Journal) -> None:
    def note(*, firing: bool) -> Occurrence | None:
        journal.write(lambda tx: tx.note_occurrence(signal(firing=firing)))
        return journal.read(lambda view: view.occurrence("f1", 1000.0))

    assert journal.read(lambda view: view.occurrence("f1", 1000.0)) is None
    found = [note(firing=firing) for firing in (True, True, False, True)]
    assert [(each.firing, each.count) for each in found if each] == [
        (True, 1),
        (True, 2),
        (False, 3),
        (False, 4),
    ]
    assert journal.read(lambda view: view.occurrence("f1", 1000.5)) is None


def test_episodes_are_found_by_what_they_are_about(journal: Journal) -> None:
    old = episode("e1", closed_at=5.0)
    new = episode("e2")
    service = episode("e3", target=SHOP_WEB, fingerprint="f3", alert="ServiceCpuIdle")
    for each in (old, new, service):
        journal.write(lambda tx, each=each: tx.put_episode(each))  # type: ignore[misc]
    assert journal.read(lambda view: view.episode("e1")) == old
    assert journal.read(lambda view: view.open_episode("mend", WEB)) == new
    assert journal.read(lambda view: view.open_episode("mend", OTHER)) is None
    assert journal.read(lambda view: view.episodes_of("f1")) == [new]
    for word, found in {
        "f1": [new, old],
        "ContainerUnhealthy": [new, old],
        "shop-web-1": [new, old],
        "shop/web": [service],
        "e3": [service],
        "nobody": [],
    }.items():
        assert journal.read(lambda view, word=word: view.episodes_about([word], 9)) == found  # type: ignore[misc]


def test_the_last_episode_is_the_newest_one_open_or_closed(journal: Journal) -> None:
    journal.write(lambda tx: tx.put_episode(episode("e1", closed_at=5.0)))
    closed = episode("e2", closed_at=6.0)
    journal.write(lambda tx: tx.put_episode(closed))
    assert journal.read(lambda view: view.last_episode("mend", WEB)) == closed
    journal.write(lambda tx: tx.put_episode(episode("e1", closed_at=7.0)))
    assert journal.read(lambda view: view.last_episode("mend", WEB)) == closed


def test_a_policy_has_one_open_episode_for_a_target(journal: Journal) -> None:
    journal.write(lambda tx: tx.put_episode(episode("e1")))
    with pytest.raises(StateError, match="UNIQUE"):
        journal.write(lambda tx: tx.put_episode(episode("e2")))
    journal.write(lambda tx: tx.put_episode(episode("e3", policy="other")))


def test_an_episode_has_one_live_intent(journal: Journal) -> None:
    journal.write(lambda tx: tx.put_intent(intent("i1")))
    with pytest.raises(StateError, match="UNIQUE"):
        journal.write(lambda tx: tx.put_intent(intent("i2")))
    ended = intent("i1", state=State.FAILED)
    journal.write(lambda tx: tx.put_intent(ended))
    assert journal.read(lambda view: view.live_intent("e1")) is None
    journal.write(lambda tx: tx.put_intent(intent("i2")))
    assert journal.read(lambda view: view.live_intent("e1")) == intent("i2")
    assert journal.read(lambda view: view.intents_of("e1")) == [intent("i2"), ended]


def test_intents_come_when_they_are_due_the_longest_waiting_first(journal: Journal) -> None:
    for number, (not_before, state) in enumerate(
        [(30.0, State.PLANNED), (10.0, State.PLANNED), (20.0, State.EXECUTING), (20.0, State.PLANNED)]
    ):
        each = intent(f"i{number}", episode=f"e{number}", not_before=not_before, state=state)
        journal.write(lambda tx, each=each: tx.put_intent(each))  # type: ignore[misc]

    def due(now: float, limit: int = 9) -> list[str]:
        return [each.id for each in journal.read(lambda view: view.due(now, limit))]

    assert due(9.0) == []
    assert due(20.0) == ["i1", "i3"]
    assert due(99.0) == ["i1", "i3", "i0"]
    assert due(99.0, 1) == ["i1"]
    assert [each.id for each in journal.read(lambda view: view.in_state(State.EXECUTING))] == ["i2"]
    assert journal.read(lambda view: view.states()) == {"planned": 3, "executing": 1}
    assert [each.id for _, each in journal.read(lambda view: view.latest_intents(2))] == ["i3", "i2"]
    ((number, _),) = journal.read(lambda view: view.latest_intents(1))
    earlier = journal.read(lambda view: view.latest_intents(9, before=number))
    assert [each.id for _, each in earlier] == ["i2", "i1", "i0"]


def test_what_is_acted_on_is_busy_until_it_is_verified(journal: Journal) -> None:
    for state in (State.PLANNED, State.EXECUTING, State.VERIFYING, State.DONE):
        journal.write(lambda tx, state=state: tx.put_intent(intent(state=state)))  # type: ignore[misc]
        busy = journal.read(lambda view: view.busy_targets())
        assert busy == ({WEB} if state in (State.EXECUTING, State.VERIFYING) else set())


def test_recent_actions_are_those_that_began(journal: Journal) -> None:
    for number, (started_at, target) in enumerate([(0.0, WEB), (50.0, WEB), (10.0, WEB), (40.0, OTHER)]):
        each = intent(
            f"i{number}", episode=f"e{number}", started_at=started_at, target=target, state=State.DONE
        )
        journal.write(lambda tx, each=each: tx.put_intent(each))  # type: ignore[misc]
    assert journal.read(lambda view: view.recent_actions(WEB, 0.0)) == [10.0, 50.0]
    assert journal.read(lambda view: view.recent_actions(WEB, 11.0)) == [50.0]


def test_budgets_breakers_and_flags_come_back(journal: Journal) -> None:
    assert journal.read(lambda view: (view.bucket("host"), view.breaker("b"), view.flag("freeze"))) == (
        None,
        None,
        None,
    )
    journal.write(lambda tx: tx.put_bucket("host", Bucket(2.5, 100.0)))
    journal.write(lambda tx: tx.put_breaker("b", Breaker(3, 90.0, trial=True)))
    journal.write(lambda tx: tx.set_flag("freeze", "because"))
    assert journal.read(lambda view: view.buckets()) == {"host": Bucket(2.5, 100.0)}
    assert journal.read(lambda view: view.breakers()) == {"b": Breaker(3, 90.0, trial=True)}
    assert journal.read(lambda view: view.flag("freeze")) == "because"
    journal.write(lambda tx: tx.put_breaker("b", Breaker()))
    journal.write(lambda tx: tx.set_flag("freeze", None))
    assert journal.read(lambda view: (view.breaker("b"), view.breakers(), view.flag("freeze"))) == (
        None,
        {},
        None,
    )


def test_the_audit_is_found_by_subject(journal: Journal) -> None:
    journal.receive([signal("f1"), signal("f2", labels={})])
    journal.write(lambda tx: tx.audit("decided", {"fingerprint": "f1"}, {"decision": "planned"}))

    def kinds(*words: str) -> list[tuple[str, str]]:
        entries = journal.read(lambda view: view.entries_about(words, 9))
        return [(each.kind, each.subjects["fingerprint"]) for each in entries]

    assert kinds("f1") == [("received", "f1"), ("decided", "f1")]
    assert kinds("ContainerUnhealthy") == [("received", "f1"), ("received", "f2")]
    assert kinds("shop-web-1") == kinds("shop/web") == [("received", "f1")]
    assert kinds("shop-web-1", "f2") == [("received", "f1"), ("received", "f2")]
    assert kinds() == []
    assert [each.seq for each in journal.read(lambda view: view.entries(1, 9))] == [2, 3]
