from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from compose_agent.tracing.records import ERROR, OK
from remediation.journal import Entry
from remediation.model import State
from remediation.traces.ids import ROOT, intent_of, root_of, span_id, trace_id
from remediation.traces.story import Story, spans
from tests.remediation.journal.making import episode, intent

ID = "0123456789abcdef0123456789abcdef"
WEBHOOK = "00-11111111111111111111111111111111-2222222222222222-00"
SUBJECTS = {"episode": "e1", "intent": ID}


def entry(kind: str, at: float, seq: int = 9, **fields: Any) -> Entry:
    return Entry(seq=seq, at=at, kind=kind, subjects=SUBJECTS, fields=fields, hash="")


def story(**changes: Any) -> Story:
    done = intent(ID, created_at=10.0, started_at=12.0, acted_at=13.0, ended_at=15.0, state=State.DONE)
    return replace(
        Story(done, episode("e1", traceparent=WEBHOOK), about={"container.name": "web"}),
        **changes,
    )


def test_the_id_of_an_action_is_that_of_its_trace() -> None:
    assert trace_id(ID).hex() == ID
    assert (root_of(ID).trace_id, root_of(ID).span_id) == (int(ID, 16), int.from_bytes(span_id(ID, ROOT)))
    assert intent_of(f"{ID}.3") == ID
    for other in ("i1", "x" * 32):
        assert len(trace_id(other)) == 16
    assert len({span_id(ID, what) for what in (ROOT, "decide", "verify")}) == 3


def test_a_decision_ends_with_the_waits_that_it_took() -> None:
    waits = [
        entry("decided", 10.0, 1, decision="planned"),
        entry("decided", 10.5, 2, decision="waits", reason="budget", detail="none left"),
        entry("approved", 11.0, 3, by="ann"),
    ]
    decide, commit = spans(entry("decided", 12.0, decision="acts"), story(entries=waits, committed_at=12.5))
    assert (decide.name, decide.start, decide.end) == ("decide", 10_000_000_000, 12_000_000_000)
    assert decide.parent == span_id(ID, ROOT)
    assert [(each.name, each.at) for each in decide.events] == [
        ("waits", 10_500_000_000),
        ("approved", 11_000_000_000),
    ]
    assert decide.attributes["compose_agent.decision"] == "act"
    assert decide.attributes["container.name"] == "web"
    assert (commit.name, commit.start, commit.end) == ("commit", 12_000_000_000, 12_500_000_000)


def test_a_commit_that_an_earlier_process_saw_has_no_length() -> None:
    _, commit = spans(entry("decided", 12.0, decision="acts"), story())
    assert commit.start == commit.end


def test_what_is_never_done_is_a_tree_of_two() -> None:
    never = msgspec.structs.replace(
        story().intent, state=State.SUPPRESSED, reason="dry_run", detail="as asked"
    )
    decide, root = spans(entry("decided", 12.0, decision="dry_run", detail="as asked"), story(intent=never))
    assert decide.attributes["compose_agent.reason"] == "dry_run"
    assert (root.parent, root.status, root.start, root.end) == (b"", OK, 10_000_000_000, 12_000_000_000)
    assert root.attributes["compose_agent.reason"] == "dry_run"


def test_what_the_actor_refused_was_decided_before() -> None:
    acts = entry("decided", 12.0, 3, decision="acts")
    (root,) = spans(entry("decided", 13.0, decision="refused"), story(entries=[acts]))
    assert root.name == "remediate mend"


def test_what_helped_ends_with_its_verification_and_the_root() -> None:
    probes = [(13.1, "web is starting"), (14.0, "it is too early to tell")]
    verify, root = spans(entry("verified", 15.0, helped=True, detail="well"), story(probes=probes))
    assert (verify.start, verify.end, verify.status) == (13_000_000_000, 15_000_000_000, OK)
    assert [each.attributes["compose_agent.detail"] for each in verify.events] == [
        "web is starting",
        "it is too early to tell",
    ]
    assert (root.start, root.end, root.status) == (10_000_000_000, 15_000_000_000, OK)
    assert root.attributes["alerting.alert.name"] == "ContainerUnhealthy"
    (link,) = root.links
    assert (link.trace.hex(), link.span.hex(), link.remote) == ("1" * 32, "2" * 16, True)


def test_what_did_not_help_leads_to_the_next_step() -> None:
    failed = msgspec.structs.replace(story().intent, state=State.ESCALATED, detail="still ill")
    said = entry("verified", 15.0, helped=False, detail="still ill", next="recreate")
    verify, escalate, root = spans(said, story(intent=failed, following="f" * 32, earlier="e" * 32))
    assert (verify.status, verify.message, root.status) == (ERROR, "still ill", ERROR)
    assert escalate.attributes["compose_agent.next_action"] == "recreate"
    assert [each.trace.hex() for each in escalate.links] == ["f" * 32]
    assert [each.trace.hex() for each in root.links] == ["1" * 32, "e" * 32]


def test_what_was_not_done_is_not_verified() -> None:
    failed = msgspec.structs.replace(
        story().intent, state=State.FAILED, facts={"outcomes": [{"result": "failed"}]}
    )
    assert [each.name for each in spans(entry("verified", 15.0, helped=False), story(intent=failed))] == [
        "remediate mend"
    ]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("decided", {"decision": "planned"}),
        ("decided", {"decision": "waits"}),
        ("acted", {"result": "done"}),
        ("approved", {}),
    ],
)
def test_nothing_ends_with_other_entries(kind: str, fields: dict[str, str]) -> None:
    assert spans(entry(kind, 12.0, 9, **fields), story()) == []


@pytest.mark.parametrize(
    "traceparent", ["", "00-0-0-00", "ff" + WEBHOOK[2:], WEBHOOK + "x", WEBHOOK.upper() + "\n"]
)
def test_a_header_that_names_no_trace_is_no_link(traceparent: str) -> None:
    of = story(episode=episode("e1", traceparent=traceparent))
    assert spans(entry("verified", 15.0, helped=True), of)[-1].links == []
