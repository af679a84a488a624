"""A small part of the fuzz campaign of both sockets, and the promise that its cases can be had again."""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest

from bench import broker_fuzz
from bench.broker_requests import case

CASES = 1500
IDS = ("4f" * 32, "5e" * 32)


@pytest.mark.parametrize("name", ["read", "act"])
def test_a_case_is_the_same_every_time_and_cases_differ(name: str) -> None:
    made = [case(7, number, IDS, name) for number in range(300)]
    assert made == [case(7, number, IDS, name) for number in range(300)]
    assert len(set(made)) > 200
    assert made != [case(8, number, IDS, name) for number in range(300)]


def test_nothing_gets_through_that_is_not_on_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    seed = os.getpid()
    assert broker_fuzz.main([f"--cases={CASES}", f"--seed={seed}"]) == 0, capsys.readouterr().out
    found = json.loads(capsys.readouterr().out)
    for name in ("read", "act"):
        assert sum(found[name]["statuses"].values()) >= CASES // 2
        assert found[name]["engine_calls"]


def test_what_would_be_a_hole_is_seen() -> None:
    tally = broker_fuzz.Tally()
    tally.note(1, b"HTTP/1.1 200 OK\r\n\r\n{}HTTP/1.1 500 Internal Server Error\r\n\r\n")
    tally.note(2, None)
    assert (tally.statuses, tally.failed, tally.hung) == (Counter({"200": 1, "500": 1}), [1], [2])
    for call in ("POST /containers/create", "GET /containers/web/attach/ws", "DELETE /containers/web"):
        assert not broker_fuzz._READ_CALLS.fullmatch(call)
        assert not broker_fuzz._ACT_CALLS.fullmatch(call)
