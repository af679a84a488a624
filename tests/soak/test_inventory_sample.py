"""A few runs of the inventory's campaign, by the same code as the long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

import soak.campaign
import soak.inventory
import soak.watch
from soak.campaign import Plan, perform
from soak.inventory import InventoryCampaign
from soak.watch import SETTLED_SECONDS

# The long campaign has the machine for itself, and holds scrapes to two seconds and what they show to about
# five; here processors are shared with the rest of the suite, and what is looked for is an answer that hangs,
# and a picture that stays wrong.
BUDGET_SECONDS = 15.0


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak.campaign, "RESULTS", tmp_path)
    monkeypatch.setattr(soak.watch, "BUDGET_SECONDS", BUDGET_SECONDS)
    monkeypatch.setattr(soak.watch, "SETTLED_SECONDS", dict.fromkeys(SETTLED_SECONDS, BUDGET_SECONDS))
    monkeypatch.setattr(soak.inventory, "AGREED_SECONDS", BUDGET_SECONDS)


def test_random_disturbances_of_the_fake_engine_leave_the_picture_right() -> None:
    result = perform(InventoryCampaign(), Plan("fake", runs=4, seed=1, minutes=1))
    assert result.violations == []
    assert result.counts["scrapes"] > 10


@pytest.mark.engine
@pytest.mark.lines
def test_random_disturbances_of_a_real_engine_leave_the_picture_right(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_ENGINE_LINE", request.config.getoption("--engine-line"))
    result = perform(InventoryCampaign(), Plan("real", runs=3, seed=1, minutes=1))
    assert result.violations == []
    assert result.counts["scrapes"] > 10
