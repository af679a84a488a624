"""How long an intent waits, over a real journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediation.deciding import Decider
from remediation.guard.case import Limits
from remediation.journal import FREEZE_FLAG, Journal
from remediation.model import State
from remediation.policies.model import Policy
from remediation.world import World
from tests.remediation.samples import NOW, container, intent, policy
from tests.remediation.test_engine import Active, Quiet
from tests.remediation.test_planner import Policies


def decided(path: Path, chosen: Policy, **more: float | str) -> State:
    """Return the state of an intent that was asked about while everything is frozen."""
    journal = Journal(path)
    decider = Decider(Active(Policies(chosen), Limits()), Quiet(), lambda: NOW)
    planned = intent(**more)
    journal.write(lambda tx: tx.put_intent(planned))
    journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, "by ann"))
    journal.write(lambda tx: decider.decide(tx, [planned], World((container("web"),)), 1))
    found = journal.read(lambda view: view.intent(planned.id))
    journal.close()
    assert found is not None
    return found.state


@pytest.mark.parametrize(
    ("created_at", "approved_at", "state"),
    [
        (NOW - 599, 0.0, State.PLANNED),
        (NOW - 601, 0.0, State.SUPPRESSED),
        (NOW - 1000, NOW - 599, State.PLANNED),  # a person has just said that it is still wanted
        (NOW - 1000, NOW - 601, State.SUPPRESSED),
    ],
)
def test_patience_begins_anew_with_approval(
    tmp_path: Path, created_at: float, approved_at: float, state: State
) -> None:
    found = decided(tmp_path, policy(), created_at=created_at, approved_at=approved_at)
    assert found is state
