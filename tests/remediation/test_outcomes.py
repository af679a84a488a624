from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.verbs.model import Outcome, Result
from remediation.deciding import breaker_key
from remediation.guard.breaker import Breaker
from remediation.guard.case import Limits
from remediation.journal import Journal
from remediation.model import Episode, State
from remediation.outcomes import Outcomes
from remediation.policies.model import Policy
from tests.remediation.samples import NOW, intent, policy, signal

DONE, REFUSED = (Outcome(result=each) for each in (Result.DONE, Result.REFUSED))
TRIPPED = Breaker(3, NOW - 600, trial=True)


class Active:
    """One policy."""

    limits = Limits()

    def policy(self, name: str) -> Policy | None:
        """Return it."""
        return policy()


def ended(path: Path, outcomes: Sequence[Outcome], **more: Any) -> tuple[State, Breaker | None]:
    """Return the state of an intent that ended so, and the breaker, on which it was a trial."""
    journal = Journal(path)
    begun = intent(state=State.EXECUTING, started_at=NOW, **more)
    journal.write(lambda tx: tx.put_breaker(breaker_key(begun), TRIPPED))
    journal.write(lambda tx: Outcomes(Active(), lambda: NOW + 1).acted(tx, begun, outcomes))
    found = journal.read(lambda view: (view.intent(begun.id), view.breaker(breaker_key(begun))))
    journal.close()
    assert found[0] is not None
    return found[0].state, found[1]


def test_a_trial_that_was_refused_is_none_and_the_next_one_may_come(tmp_path: Path) -> None:
    assert ended(tmp_path, [REFUSED]) == (State.SUPPRESSED, Breaker(3, NOW - 600))


def test_what_was_done_in_part_only_has_not_helped(tmp_path: Path) -> None:
    """Nobody may say of it that nothing was done."""
    assert ended(tmp_path, [DONE, REFUSED]) == (State.FAILED, Breaker(4, NOW + 1))


@pytest.mark.parametrize("result", [Result.DONE, Result.FAILED])
def test_a_call_to_others_says_nothing_about_what_helps(tmp_path: Path, result: Result) -> None:
    assert ended(tmp_path, [Outcome(result=result)], action="notify")[1] == TRIPPED


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ({}, 100.0),
        ({"started_at": "2025-06-15T15:07:00.5Z"}, 20.5),
        ({"started_at": "2025-06-15T15:00:00Z"}, 10.0),
        ({"started_at": "2025-06-15T16:00:00Z"}, 100.0),
        ({"started_at": ""}, 100.0),
    ],
)
def test_it_was_acted_when_the_engine_says(tmp_path: Path, details: dict[str, Any], seconds: float) -> None:
    """However late that was learnt, and never before it was begun."""
    journal = Journal(tmp_path)
    begun = intent(state=State.EXECUTING, started_at=NOW + 10)
    outcomes = [Outcome(result=Result.DONE, details=details)]
    journal.write(lambda tx: Outcomes(Active(), lambda: NOW + 100).acted(tx, begun, outcomes))
    found = journal.read(lambda view: view.intent(begun.id))
    journal.close()
    assert found is not None
    assert (found.state, found.acted_at) == (State.VERIFYING, NOW + seconds)


@pytest.mark.parametrize(("resolved_at", "waiting", "closed"), [(0.0, ["fp-web"], ""), (NOW, [], "resolved")])
def test_what_began_meanwhile_is_planned_when_all_is_over(
    tmp_path: Path, resolved_at: float, waiting: list[str], closed: str
) -> None:
    journal = Journal(tmp_path)
    verified = intent(state=State.VERIFYING, started_at=NOW, acted_at=NOW)
    about = Episode(
        id=verified.episode,
        policy=verified.policy,
        target=verified.target,
        fingerprint="fp-web",
        alert="ContainerUnhealthy",
        starts_at=NOW - 60,
        opened_at=NOW,
        last_signal_at=NOW,
        resolved_at=resolved_at,
        recurrence=None if resolved_at else signal(starts_at=NOW + 1),
    )
    journal.write(lambda tx: tx.put_episode(about))
    journal.write(lambda tx: Outcomes(Active(), lambda: NOW + 2).missed(tx, verified, "it is ill"))
    found = journal.read(lambda view: view.inbox(9))
    assert [each.fingerprint for _, each in found if each] == waiting
    after = journal.read(lambda view: view.episode(about.id))
    assert after is not None
    assert (after.recurrence, after.close_reason) == (None, closed)
    journal.close()
