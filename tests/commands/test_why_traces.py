from __future__ import annotations

from pathlib import Path

from compose_agent.commands.why import story
from compose_agent.commands.why_traces import with_traces
from compose_agent.tracing.records import Span
from compose_agent.tracing.spool import Spool
from remediation.traces.ids import ROOT, span_id, trace_id
from remediation.why import Account, Line

ID, OTHER = "0123456789abcdef0123456789abcdef", "f" * 32
ACCOUNT = Account(
    heading="ContainerUnhealthy", lines=[Line(0.0, "It fires.")], outcome="Done.", actions=[ID, OTHER]
)
BACKEND = "http://127.0.0.1:16686/trace/{trace_id}"


def spooled(state_dir: Path) -> None:
    """Have the role's part of a trace in one spool, and the broker's in another."""
    root = Span(trace=trace_id(ID), span=span_id(ID, ROOT), name="remediate mend", start=0, end=2_000_000_000)
    below = Span(
        trace=trace_id(ID),
        span=b"2" * 8,
        parent=root.span,
        name="POST /v1/verbs",
        start=1_000_000_000,
        end=1_500_000_000,
        message="\x1b[31mred",
        status=2,
    )
    for process, span in (("remediation", root), ("broker", below)):
        spool = Spool(state_dir / "traces" / process, {}, exporting=False)
        spool.append([span])
        spool.close()


def test_the_trace_is_drawn_below_the_account_with_a_link(tmp_path: Path) -> None:
    spooled(tmp_path)
    told = with_traces([ACCOUNT], tmp_path, BACKEND)
    assert story(told).splitlines()[-3:] == [
        f"  trace {ID}  http://127.0.0.1:16686/trace/{ID}",
        "    remediate mend     +0.0 ms  2.00 s",
        "    └─ POST /v1/verbs  +1.00 s  500 ms  failed  \ufffd[31mred",
    ]


def test_without_spools_the_account_is_told_as_it_is(tmp_path: Path) -> None:
    told = with_traces([ACCOUNT], tmp_path / "none", BACKEND)
    assert story(told).splitlines()[-1] == "  Done."
    (one,) = told
    assert (one.traces, one.links) == ({}, {})
