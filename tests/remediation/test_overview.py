from __future__ import annotations

from typing import Any

import msgspec
import pytest

from compose_agent.typed import from_json
from remediation.guard.breaker import Breaker, BreakerState
from remediation.guard.buckets import Bucket
from remediation.guard.case import Limits
from remediation.journal import FREEZE_FLAG, Journal
from remediation.model import Reason, State
from remediation.overview import MOST_LIVE, Overview
from remediation.policies.model import Rate
from tests.remediation.journal.making import episode, intent
from tests.remediation.samples import policy
from tests.remediation.standing import active_of, observer_of

NOW = 5000.0


def seen(journal: Journal, **more: Any) -> Overview:
    return observer_of(journal, now=lambda: NOW, **more).overview()


def put(journal: Journal, id: str, closed_at: float = 0.0, **other: Any) -> None:
    """Write an intent in an episode of its own."""
    of = {"policy": f"mend {id}", "closed_at": closed_at}
    journal.write(lambda tx: tx.put_episode(episode(f"e-{id}", **of)))
    journal.write(lambda tx: tx.put_intent(intent(id, episode=f"e-{id}", **other)))


def test_nothing_to_do_is_an_overview_too(journal: Journal) -> None:
    found = seen(journal)
    assert (found.at, found.host, found.heartbeat_at, found.policies) == (NOW, "box", NOW, ["mend"])
    assert (found.reasons, found.frozen, found.engine, found.journal, found.dry_run) == (
        [],
        "",
        "",
        "",
        False,
    )
    assert (found.live, found.live_count, found.approvals, found.last, found.given_up) == ([], 0, 0, None, [])
    assert [(each.budget, each.left, each.count) for each in found.budgets] == [
        ("host", 20, 20),
        ("everything", 40, 40),
        ("freeze-after", 60, 60),
    ]


def test_who_waits_for_a_person_comes_first_and_then_the_oldest(journal: Journal) -> None:
    put(journal, "young", created_at=30.0, state=State.EXECUTING, started_at=31.0)
    put(journal, "old", created_at=10.0, reason=Reason.BUDGET)
    put(journal, "ended", created_at=5.0, state=State.DONE, started_at=6.0)
    put(journal, "approved", created_at=12.0, reason=Reason.APPROVAL, approved_by="ann")
    put(journal, "asks", created_at=20.0, reason=Reason.APPROVAL)
    found = seen(journal)
    assert [each.id for each in found.live] == ["asks", "old", "approved", "young"]
    assert (found.live_count, found.approvals) == (4, 1)
    assert found.last is not None
    assert (found.last.id, found.last.alert) == ("young", "ContainerUnhealthy")


def test_more_than_a_person_reads_is_counted(journal: Journal) -> None:
    def fill(tx: Any) -> None:
        for number in range(MOST_LIVE + 3):
            tx.put_intent(intent(f"i{number}", episode=f"e{number}", reason=Reason.APPROVAL))

    journal.write(fill)
    found = seen(journal)
    assert (len(found.live), found.live_count, found.approvals) == (MOST_LIVE, MOST_LIVE + 3, MOST_LIVE + 3)


def test_given_up_is_what_failed_while_the_alert_goes_on(journal: Journal) -> None:
    put(journal, "failed", state=State.FAILED)
    put(journal, "over", state=State.FAILED, closed_at=NOW - 1)
    put(journal, "next", state=State.ESCALATED)
    journal.write(lambda tx: tx.put_intent(intent("orphan", episode="gone", state=State.FAILED)))
    assert [each.id for each in seen(journal).given_up] == ["failed"]


def test_breakers_that_are_not_closed_and_policies_that_are_there(journal: Journal) -> None:
    journal.write(lambda tx: tx.put_breaker("mend:container:a", Breaker(1, NOW)))
    journal.write(lambda tx: tx.put_breaker("mend:service:shop/b", Breaker(3, NOW - 10)))
    journal.write(lambda tx: tx.put_breaker("mend:container:c", Breaker(4, NOW - 601, trial=True)))
    journal.write(lambda tx: tx.put_breaker("gone:container:d", Breaker(3, NOW)))
    found = {each.target: each for each in seen(journal).breakers}
    assert {target: each.state for target, each in found.items()} == {
        "service:shop/b": "open",
        "container:c": "half_open",
    }
    assert (found["service:shop/b"].until, found["service:shop/b"].failures) == (NOW + 590, 3)


@pytest.mark.parametrize(
    ("breaker", "state"),
    [
        (Breaker(), BreakerState.CLOSED),
        (Breaker(2, NOW), BreakerState.CLOSED),
        (Breaker(3, NOW), BreakerState.OPEN),
        (Breaker(3, NOW - 599), BreakerState.OPEN),
        (Breaker(3, NOW - 600), BreakerState.HALF_OPEN),
    ],
)
def test_a_breaker_opens_and_then_lets_one_trial_through(breaker: Breaker, state: BreakerState) -> None:
    assert breaker.state(3, 600.0, NOW) is state


def test_budgets_of_policies_are_told_while_they_are_spent(journal: Journal) -> None:
    buckets = {
        "host": Bucket(5.0, NOW),
        "target:mend:container:a": Bucket(0.0, NOW),
        "target:mend:container:b": Bucket(1.0, NOW),
        "service:mend:shop/web": Bucket(0.5, NOW),
        "target:gone:container:c": Bucket(0.0, NOW),
        "of another version": Bucket(0.0, NOW),
    }
    for key, bucket in buckets.items():
        journal.write(lambda tx, key=key, bucket=bucket: tx.put_bucket(key, bucket))  # type: ignore[misc]
    found = {each.budget: each for each in seen(journal).budgets}
    assert set(found) == {
        "host",
        "everything",
        "freeze-after",
        "target:mend:container:a",
        "service:mend:shop/web",
    }
    assert found["host"].left == 5
    assert found["target:mend:container:a"].next_at == NOW + 200


def test_what_has_no_limit_has_no_budget(journal: Journal) -> None:
    active = active_of(limits=Limits(everything=Rate(1, 60.0), dry_run=True))
    found = observer_of(journal, active, lambda: NOW).overview()
    assert ([each.budget for each in found.budgets], found.dry_run) == (["everything"], True)


def test_it_says_who_froze_everything_and_what_is_wrong(journal: Journal) -> None:
    journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, "frozen by ann"))
    found = seen(journal, reasons=("no Engine",), engine="no Engine", outside="no Alertmanager")
    assert (found.frozen, found.reasons, found.engine, found.outside) == (
        "frozen by ann",
        ["no Engine"],
        "no Engine",
        "no Alertmanager",
    )


def test_a_journal_that_cannot_be_read_is_said(journal: Journal) -> None:
    journal.close()
    found = seen(journal)
    assert found.journal
    assert found.policies == ["mend"]


def test_it_travels_as_json(journal: Journal) -> None:
    put(journal, "asks", reason=Reason.APPROVAL)
    found = observer_of(journal, active_of(policy("mend"), policy("other")), lambda: NOW).overview()
    assert from_json(msgspec.json.encode(found), Overview) == found
