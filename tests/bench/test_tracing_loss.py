"""A sample of the campaign of traces, by the same code, and its judge."""

from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench.tracing_loss import perform, total
from bench.trees import judge
from remediation.model import State
from remediation.traces.ids import trace_id
from tests.remediation.journal.making import intent

ID = "0123456789abcdef0123456789abcdef"
DONE = intent(ID, state=State.DONE, ended_at=5.0)
NAMES = ("remediate x", "decide", "commit", "execute restart", "engine info", "verify")


def tree(*names: str, without: str = "") -> list[Span]:
    """Return spans of one trace, all below the first one."""
    spans = [
        Span(
            trace_id=trace_id(ID),
            span_id=number.to_bytes(8),
            parent_span_id=(1).to_bytes(8) if number > 1 else b"",
            name=name,
        )
        for number, name in enumerate(names, 1)
    ]
    return [each for each in spans if each.name != without]


def test_every_action_of_a_run_has_its_whole_tree() -> None:
    outcome = perform(1, patients=3, illnesses=4)
    assert outcome.good, outcome
    assert outcome.trees.intents >= 12
    assert total([outcome])["complete_percent"] == 100.0


def test_the_judge_wants_one_tree_of_everything() -> None:
    assert judge([DONE], tree(*NAMES)).complete == 1
    assert judge([DONE], [*tree(*NAMES), *tree(*NAMES)]).repeated == len(NAMES)


@pytest.mark.parametrize(
    ("spans", "wrong"),
    [
        ([], "0 roots of 0 spans"),
        (tree(*NAMES, without="remediate x"), "0 roots of 5 spans"),
        (tree(*NAMES, without="verify"), "there is no verify"),
        (tree(*NAMES, without="commit"), "there is no commit"),
        (
            [
                *tree(*NAMES),
                Span(trace_id=trace_id(ID), span_id=b"9" * 8, parent_span_id=b"8" * 8, name="lost"),
            ],
            "lost",
        ),
        ([*tree(*NAMES), Span(trace_id=trace_id(ID), span_id=b"9" * 8, name="second")], "2 roots"),
    ],
)
def test_the_judge_says_what_is_missing(spans: list[Span], wrong: str) -> None:
    found = judge([DONE], spans)
    assert found.complete == 0
    assert wrong in found.wrong[0]
