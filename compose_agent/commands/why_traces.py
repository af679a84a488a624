"""The traces of actions below an account of ``why``, as trees, from the spools on this host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from compose_agent.tracing.reading import traces
from compose_agent.tracing.settings import TRACE_ID
from compose_agent.tracing.tree import Row, lines, rows
from remediation.traces.ids import trace_id
from remediation.why import Account


class Told(Account, frozen=True, kw_only=True):
    """An account with the traces of its actions: the spans of each, and where a browser shows it."""

    traces: dict[str, list[Row]] = msgspec.field(default_factory=dict)
    links: dict[str, str] = msgspec.field(default_factory=dict)


def with_traces(accounts: Sequence[Account], state_dir: Path, backend: str | None) -> list[Told]:
    """Return accounts with what the spools below a state directory have of their actions."""
    wanted = {trace_id(action) for account in accounts for action in account.actions}
    found = {trace.hex(): rows(kept) for trace, kept in traces(state_dir, wanted).items()}
    return [_told(account, found, backend) for account in accounts]


def paragraph(told: Told) -> list[str]:
    """Return the lines that draw the traces of an account."""
    drawn: list[str] = []
    for trace, spans in told.traces.items():
        link = f"  {told.links[trace]}" if trace in told.links else ""
        drawn += [f"  trace {trace}{link}", *(f"    {line}" for line in lines(spans))]
    return drawn


def _told(account: Account, found: Mapping[str, list[Row]], backend: str | None) -> Told:
    ids = [trace_id(action).hex() for action in account.actions]
    drawn = {each: found[each] for each in ids if each in found}
    links = {each: backend.replace(TRACE_ID, each) for each in drawn} if backend else {}
    return Told(**msgspec.structs.asdict(account), traces=drawn, links=links)
