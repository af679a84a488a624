from __future__ import annotations

import pytest

from compose_agent.tracing.reading import Kept
from compose_agent.tracing.records import ERROR, Span
from compose_agent.tracing.tree import lines, rows, time_words

MS = 1_000_000


def kept(name: str, number: int, parent: int = 0, *, start: int = 0, end: int = 1, **more: object) -> Kept:
    given = {"status": 0, **more}
    span = Span(
        trace=bytes(16),
        span=number.to_bytes(8),
        parent=parent.to_bytes(8) if parent else b"",
        name=name,
        start=start * MS,
        end=end * MS,
        **given,  # type: ignore[arg-type]
    )
    return Kept("remediation", span)


def test_a_tree_has_branches_times_and_words() -> None:
    found = [
        kept("engine restart", 4, 3, start=20, end=1120),
        kept("remediate", 1, start=0, end=2100),
        kept("verify", 5, 1, start=1220, end=2100, attributes={"compose_agent.detail": "well"}),
        kept("execute restart", 3, 1, start=15, end=1215, status=ERROR, message="cut off"),
        kept("decide", 2, 1, start=0, end=12),
    ]
    assert lines(rows(found)) == [
        "remediate             +0.0 ms  2.10 s",
        "├─ decide             +0.0 ms   12 ms",
        "├─ execute restart     +15 ms  1.20 s  failed  cut off",
        "│  └─ engine restart   +20 ms  1.10 s",
        "└─ verify             +1.22 s  880 ms  well",
    ]


def test_what_has_no_parent_here_stands_at_the_top_and_what_goes_on_says_so() -> None:
    found = [kept("POST /v1/verbs", 7, 99, start=5, end=0), kept("engine info", 8, 7, start=6, end=7)]
    assert lines(rows(found)) == [
        "POST /v1/verbs  +0.0 ms  not over",
        "└─ engine info    +1 ms      1 ms",
    ]


def test_a_span_that_is_there_twice_is_drawn_once_and_a_circle_ends() -> None:
    assert len(rows([kept("a", 1), kept("a", 1)])) == 1
    assert rows([kept("a", 1, 2), kept("b", 2, 1)]) == []
    assert rows([]) == []


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [
        (0, "0.0 ms"),
        (400_000, "0.4 ms"),
        (15 * MS, "15 ms"),
        (999 * MS, "999 ms"),
        (1500 * MS, "1.50 s"),
        (125_000 * MS, "2 min 5 s"),
    ],
)
def test_times_have_few_digits(nanoseconds: int, words: str) -> None:
    assert time_words(nanoseconds) == words
