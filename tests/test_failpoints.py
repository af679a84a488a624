from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from compose_agent.errors import ConfigError
from compose_agent.failpoints import VARIABLE, Failpoints, Plan, parse

PASSES = 2000


def killed_at(plan: Plan, names: list[str]) -> list[int]:
    """Pass points in order, and return at which passes (from 1) the plan would have killed."""
    killed: list[int] = []
    now = 0

    def kill(_name: str) -> None:
        killed.append(now)

    points = Failpoints(plan, kill)
    for now, name in enumerate(names, 1):  # noqa: B007 - read by kill
        points.reached(name)
    return killed


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("", None),
        (" , ", None),
        ("a.b", Plan({"a.b": 1})),
        ("a.b:3, c", Plan({"a.b": 3, "c": 1})),
        ("random:7:0.25", Plan({}, "7", 0.25)),
        ("a:2,random:x:1", Plan({"a": 2}, "x", 1.0)),
        ("random:7:0.25:actor.", Plan({}, "7", 0.25, "actor.")),
    ],
)
def test_the_variable_is_read(text: str, plan: Plan | None) -> None:
    assert parse(text) == plan


@pytest.mark.parametrize("text", ["a:b", "random:7", "random:7:often", "a:1:2"])
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=VARIABLE):
        parse(text)


def test_a_point_counts_its_own_passes() -> None:
    assert killed_at(Plan({"a": 2}), ["b", "a", "b", "a", "a"]) == [4]


def test_random_follows_from_seed_point_and_pass() -> None:
    names = ["a", "b"] * (PASSES // 2)
    first = killed_at(Plan({}, "1", 0.1), names)
    assert first == killed_at(Plan({}, "1", 0.1), names)
    assert first != killed_at(Plan({}, "2", 0.1), names)
    assert PASSES * 0.05 < len(first) < PASSES * 0.15


def test_random_may_be_aimed() -> None:
    assert killed_at(Plan({}, "1", 1.0, "actor."), ["actor.a", "journal.b", "x.actor.", "actor.c"]) == [1, 4]


@pytest.mark.parametrize(
    ("variable", "code", "printed"), [("", 0, "1 2 "), ("x:2", -signal.SIGKILL, "1 "), ("y", 0, "1 2 ")]
)
def test_a_process_is_killed_where_the_variable_says(variable: str, code: int, printed: str) -> None:
    program = (
        "from compose_agent.failpoints import failpoint\n"
        "for number in (1, 2):\n"
        "    failpoint('x')\n"
        "    print(number, end=' ', flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {VARIABLE: variable},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (code, printed)
    assert ended.stderr == ("killed at the fail point x\n" if code else "")
