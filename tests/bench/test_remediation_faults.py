"""Samples of the campaigns: whole runs, with everything that is killed, lost and repeated in them."""

from __future__ import annotations

import pytest

from bench.remediation_faults import Outcome, perform, total
from bench.restarts import Verdict
from lab.engine import PrivateEngine


@pytest.mark.parametrize(("seed", "broker", "forked"), [(7, False, False), (4, True, False), (4, True, True)])
def test_nothing_is_lost_or_doubled(seed: int, broker: bool, forked: bool) -> None:
    outcome = perform("fake", "", seed, broker=broker, forked=forked)
    assert outcome.good, outcome
    assert outcome.kills > 1
    # Each life dies where its own environment says, also when it was forked.
    assert outcome.killed_at
    assert outcome.verdict.cycles > 1


@pytest.mark.engine
def test_nothing_is_lost_or_doubled_on_a_real_engine(engine: PrivateEngine) -> None:
    outcome = perform("real", engine.host, 7)
    assert outcome.good, outcome
    assert outcome.kills > 1
    assert outcome.verdict.cycles > 1


def test_runs_are_summed() -> None:
    one = Outcome("fake", 1, True, Verdict(cases=3, cycles=2), 4, {"a": 3, "b": 1}, 9, 0, 1.0, 0.1, ())
    two = Outcome("fake", 2, False, Verdict(cases=1, lost=1), 1, {"b": 1}, 2, 0, 1.0, 0.1, ())
    sums = total([one, two])
    assert {name: sums[name] for name in ("runs", "bad", "kills", "cases", "cycles", "lost")} == {
        "runs": 2,
        "bad": 1,
        "kills": 5,
        "cases": 4,
        "cycles": 2,
        "lost": 1,
    }
    assert sums["killed_at"] == {"a": 3, "b": 2}
