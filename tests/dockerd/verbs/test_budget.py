from __future__ import annotations

import pytest

from compose_agent.dockerd.verbs.budget import Budget, Limits

NOW = 10_000.0


class Begun:
    """Requests that were begun so many seconds ago, by subject."""

    def __init__(self, *begun: tuple[str, float]) -> None:
        self._begun = begun

    def started_since(self, moment: float, subject: str | None = None) -> int:
        return sum(NOW - ago > moment and subject in (None, name) for name, ago in self._begun)


@pytest.mark.parametrize(
    ("begun", "refusal"),
    [
        ((), ""),
        ((("web", 1), ("web", 2)), "2 actions on web within 60 s are all that the actor's budget allows"),
        ((("web", 1), ("web", 61)), ""),
        ((("db", 1), ("db", 2), ("mq", 1)), "3 actions on this host within 60 s are all that the actor's"),
        ((("db", 1), ("db", 2), ("mq", 60)), ""),
        # A clock that was set back gives nothing back.
        ((("web", -500), ("web", -500)), "2 actions on web"),
    ],
)
def test_so_much_and_no_more(begun: tuple[tuple[str, float], ...], refusal: str) -> None:
    budget = Budget(Limits(per_target=2, per_host=3, window_seconds=60), clock=lambda: NOW)
    found = budget.refusal(Begun(*begun), "web")
    assert found.startswith(refusal)
    assert bool(found) == bool(refusal)
