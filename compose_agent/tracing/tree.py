"""A trace as people read it: a tree with times.

::

    remediate container-unhealthy                 +0 ms  2.10 s
    ├─ decide                                     +0 ms  12 ms  act
    ├─ execute restart                           +15 ms  1.20 s
    │  └─ engine container_restart               +20 ms  1.10 s
    └─ verify                                   +1.22 s  880 ms  well since 0 s
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from compose_agent.tracing import attributes as names
from compose_agent.tracing.reading import Kept
from compose_agent.tracing.records import ERROR

_MS, _SECOND = 1_000_000, 1_000_000_000
_MINUTE = 60 * _SECOND
# What one span says of itself, the first that it has.
_WORDS = (names.DETAIL, names.REASON, names.DECISION, names.RESULT)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A span in a tree: ``after`` are nanoseconds since the root began, ``took`` is None while it goes on."""

    branch: str
    name: str
    after: int
    took: int | None
    words: str = ""
    failed: bool = False
    process: str = ""
    span_id: str = ""


def rows(kept: Sequence[Kept]) -> list[Row]:
    """Return the spans of one trace from the root on, each below its parent, the earliest first.

    A span whose parent is not there stands at the top.
    """
    ordered = sorted({each.span.span: each for each in kept}.values(), key=lambda each: each.span.start)
    known = {each.span.span for each in ordered}
    children: dict[bytes, list[Kept]] = {}
    for each in ordered:
        parent = each.span.parent if each.span.parent in known else b""
        children.setdefault(parent, []).append(each)
    began = ordered[0].span.start if ordered else 0
    return [row for top in children.get(b"", []) for row in _below(top, children, began, "", "")]


def lines(found: Sequence[Row]) -> list[str]:
    """Return rows as lines with columns."""
    names_wide = max((len(row.branch + row.name) for row in found), default=0)
    after = [f"+{time_words(row.after)}" for row in found]
    took = [time_words(row.took) if row.took is not None else "not over" for row in found]
    after_wide, took_wide = (max(map(len, column), default=0) for column in (after, took))
    return [
        f"{(row.branch + row.name).ljust(names_wide)}  {at.rjust(after_wide)}  {long.rjust(took_wide)}"
        f"{'  failed' if row.failed else ''}{f'  {row.words}' if row.words else ''}"
        for row, at, long in zip(found, after, took, strict=True)
    ]


def time_words(nanoseconds: int) -> str:
    """Return a time with three digits or so: ``15 ms``, ``1.20 s``, ``2 min 5 s``."""
    if nanoseconds < _MS:
        return f"{nanoseconds / _MS:.1f} ms"
    if nanoseconds < _SECOND:
        return f"{nanoseconds // _MS} ms"
    if nanoseconds < _MINUTE:
        return f"{nanoseconds / _SECOND:.2f} s"
    minutes, rest = divmod(nanoseconds, _MINUTE)
    return f"{minutes} min {rest // _SECOND} s"


def _below(
    kept: Kept, children: dict[bytes, list[Kept]], began: int, branch: str, indent: str
) -> Iterator[Row]:
    yield _row(kept, began, branch)
    below = children.pop(kept.span.span, [])  # taken out, so that damaged spans in a circle end
    for number, each in enumerate(below, 1):
        last = number == len(below)
        yield from _below(
            each, children, began, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")
        )


def _row(kept: Kept, began: int, branch: str) -> Row:
    span = kept.span
    said = next((str(span.attributes[key]) for key in _WORDS if span.attributes.get(key)), "")
    return Row(
        branch=branch,
        name=span.name,
        after=max(0, span.start - began),
        took=max(0, span.end - span.start) if span.end else None,
        words=said or (span.message if span.status == ERROR else ""),
        failed=span.status == ERROR,
        process=kept.process,
        span_id=span.span.hex(),
    )
