"""Looking into spools from outside, also while they are written: for people, and for who checks them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from compose_agent.tracing import ledger, segments
from compose_agent.tracing.ledger import Account, account
from compose_agent.tracing.pipeline import FOLDER
from compose_agent.tracing.records import Span
from compose_agent.tracing.recovery import open_after
from compose_agent.tracing.segments import Segment


@dataclass(frozen=True, slots=True)
class Kept:
    """A span, and the process whose spool has it."""

    process: str
    span: Span


def traces(state_dir: Path, wanted: Collection[bytes]) -> dict[bytes, list[Kept]]:
    """Return the spans of some traces that lie below a state directory, by trace.

    Spans that are not over are among them, with 0 as their end; what cannot be read is not.
    """
    found: dict[bytes, list[Kept]] = {each: [] for each in wanted}
    for folder in _folders(state_dir):
        for span in _spans(folder):
            if span.trace in found:
                found[span.trace].append(Kept(folder.name, span))
    return {trace: kept for trace, kept in found.items() if kept}


def account_of(folder: Path) -> Account:
    """Return what became of all spans of one spool; raises OSError."""
    counts = ledger.read(folder)
    last = None
    for last in _segments(folder):  # noqa: B007 - the last one is what is wanted
        pass
    written = counts.settled
    if last is not None:
        written = last.base + sum(len(group.spans) for group, _ in segments.read(last, last.first))
    return account(counts, written)


def _folders(state_dir: Path) -> list[Path]:
    try:
        return sorted(each for each in (state_dir / FOLDER).iterdir() if each.is_dir())
    except OSError:
        return []


def _spans(folder: Path) -> Iterator[Span]:
    begun: dict[bytes, Span] = {}
    for segment in _segments(folder):
        open_after(begun, segment.header.begun, ())
        try:
            for group, _ in segments.read(segment, segment.first):
                open_after(begun, group.begun, group.spans)
                yield from group.spans
        except OSError:
            continue  # removed in this moment
    yield from begun.values()


def _segments(folder: Path) -> Iterator[Segment]:
    try:
        found = segments.numbers(folder)
    except OSError:
        return
    for number in found:
        try:
            segment = segments.opened(folder, number)
        except OSError:
            continue
        if segment:
            yield segment
