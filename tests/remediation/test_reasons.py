from __future__ import annotations

import pytest

from remediation.model import Reason
from remediation.reasons import MEANINGS, meaning

# Nothing is wrong and nobody needs to do anything.
GOOD = {
    Reason.DUPLICATE,
    Reason.RESOLVED,
    Reason.STALE,
    Reason.RECOVERED,
    Reason.DENIED,
    Reason.NO_CHANGE,
}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_meaning_and_a_remedy_unless_all_is_well(reason: Reason) -> None:
    assert MEANINGS[reason].words
    assert bool(MEANINGS[reason].remedy) == (reason not in GOOD)
    assert not MEANINGS[reason].words.endswith(".")


def test_a_reason_of_another_version_stands_for_itself() -> None:
    assert meaning("moon").words == "moon"
