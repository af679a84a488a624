from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.verbs.model import Outcome, Result
from remediation.guard.case import Limits
from remediation.journal import Journal
from remediation.model import State
from remediation.outcomes import Outcomes
from remediation.policies.model import Policy
from tests.remediation.samples import NOW, intent, policy


class Active:
    """One policy."""

    limits = Limits()

    def policy(self, name: str) -> Policy | None:
        """Return it."""
        return policy()


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
