"""What an earlier process has left in a spool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import msgspec

from compose_agent.tracing import segments
from compose_agent.tracing.attributes import ERROR_TYPE
from compose_agent.tracing.records import ERROR, Span
from compose_agent.tracing.segments import Segment

_INTERRUPTED = "interrupted"


@dataclass(slots=True)
class Found:
    """Segments, oldest first; spans that were never over; marks; and when anything was last written.

    ``last_at`` is Unix nanoseconds.
    """

    segments: list[Segment] = field(default_factory=list)
    begun: dict[bytes, Span] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    last_at: int = 0


def recovered(folder: Path) -> Found:
    """Return what lies in a folder; raises OSError. Files that are no segments are removed."""
    found = Found()
    for number in segments.numbers(folder):
        if segment := segments.opened(folder, number):
            found.segments.append(segment)
        else:
            segments.path_of(folder, number).unlink()
    # What came after one says how many were in it, also if it is damaged.
    for one, following in pairwise(found.segments):
        one.count = following.base - one.base
    if found.segments:
        _look_at_last(found, found.segments[-1])
    return found


def interrupted(span: Span, at: int) -> Span:
    """Return a span that a kill has cut off, ended at Unix nanoseconds."""
    return msgspec.structs.replace(
        span,
        end=max(span.start, at),
        status=ERROR,
        message="the process ended before this did",
        attributes={**span.attributes, ERROR_TYPE: _INTERRUPTED},
    )


def open_after(begun: dict[bytes, Span], more: Sequence[Span], over: Sequence[Span]) -> None:
    """Bring the spans that are not over up to date."""
    begun.update({each.span: each for each in more})
    for each in over:
        begun.pop(each.span, None)


def _look_at_last(found: Found, last: Segment) -> None:
    found.last_at = last.path.stat().st_mtime_ns
    found.begun = {each.span: each for each in last.header.begun}
    found.marks = dict(last.header.marks)
    last.size = last.first
    for group, end in segments.read(last, last.first):
        open_after(found.begun, group.begun, group.spans)
        found.marks.update(group.marks)
        last.count, last.size = last.count + len(group.spans), end
