"""A sample of bench.forwarder_faults, which runs for hours where this takes less than a minute."""

from __future__ import annotations

import pytest

from bench.forwarder_faults import QUICK, QUICK_RATE, QUICK_SIZE, Setup, perform


@pytest.mark.parametrize("sink", ["forward", "file"])
def test_kills_outages_and_rotations_lose_nothing_and_repeat_nothing_unexcused(sink: str) -> None:
    outcome = perform(Setup(sink, 1, QUICK_RATE, QUICK, QUICK_SIZE))
    assert outcome.rotations > 0
    assert outcome.good, outcome
