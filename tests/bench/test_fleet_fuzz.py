"""A short form of the campaign, and what it rests on."""

from __future__ import annotations

import pytest

from bench.fleet_fuzz import all_well, campaign
from bench.fuzzed_messages import Side, frame
from fleet.opamp.frames import MalformedMessage, from_frame
from fleet.opamp.opamp_pb2 import AgentToServer


def test_nothing_that_is_sent_breaks_a_manager_or_an_agent() -> None:
    found = campaign(4000, seed=7)
    assert all_well(found), found
    assert found["manager"]["answers"]["answer"] > 1000
    assert found["manager"]["answers"]["error"] > 300
    assert found["agent"]["answers"]["taken"] > 300


@pytest.mark.parametrize("side", ["agent", "server"])
def test_messages_follow_from_their_seed_and_number(side: Side) -> None:
    first = [frame(side, 3, number) for number in range(200)]
    assert first == [frame(side, 3, number) for number in range(200)]
    assert len(set(first)) > 190
    assert first != [frame(side, 4, number) for number in range(200)]


def test_most_are_messages_and_many_are_not() -> None:
    wrong = 0
    for number in range(500):
        try:
            from_frame(AgentToServer, frame("agent", 5, number))
        except MalformedMessage:
            wrong += 1
    assert 50 < wrong < 250
