from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.tracing import pipeline
from compose_agent.tracing.pipeline import Pipeline
from compose_agent.tracing.records import ERROR, UNSET, Span
from compose_agent.web.propagation import outgoing_headers
from remediation.traces.attempts import Attempts
from remediation.traces.ids import ROOT, span_id
from tests.tracing.conftest import settings

ID = "0123456789abcdef0123456789abcdef"
REQUEST = VerbRequest(id=f"{ID}.0", verb="restart", target="f" * 64)


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[Pipeline]:
    made = pipeline.start("remediation", settings(), tmp_path, {})
    assert made
    yield made
    made.stop(1.0)


def kept(traces: Pipeline) -> list[Span]:
    batch = traces._spool.batch(100)
    return list(batch.spans) if batch else []


def test_an_attempt_stands_below_the_root_of_its_action(traces: Pipeline) -> None:
    with Attempts().execute(REQUEST) as came:
        told = outgoing_headers()["traceparent"]
        came.append(Outcome(result=Result.DONE))
    (span,) = kept(traces)
    assert (span.name, span.trace.hex(), span.parent) == ("execute restart", ID, span_id(ID, ROOT))
    assert told == f"00-{ID}-{span.span.hex()}-01"
    assert span.status == UNSET
    assert span.attributes["container.id"] == "f" * 64
    assert span.attributes["compose_agent.result"] == "done"


def test_each_further_attempt_is_linked_to_the_one_before(traces: Pipeline) -> None:
    attempts = Attempts()
    for _ in range(2):
        with pytest.raises(ActorUnavailable), attempts.execute(REQUEST):
            raise ActorUnavailable("it is away")
    with attempts.execute(REQUEST) as came:
        came.append(Outcome(result=Result.FAILED, reason="it is broken"))
    first, second, third = kept(traces)
    assert [each.attributes["compose_agent.attempt"] for each in (first, second, third)] == [1, 2, 3]
    assert (first.links, second.links[0].span, third.links[0].span) == ([], first.span, second.span)
    assert [each.attributes["error.type"] for each in (first, second, third)] == [
        "ActorUnavailable",
        "ActorUnavailable",
        "failed",
    ]
    assert (third.status, third.message) == (ERROR, "it is broken")
    with attempts.execute(REQUEST) as came:
        came.append(Outcome(result=Result.DONE))
    assert kept(traces)[-1].attributes["compose_agent.attempt"] == 1
