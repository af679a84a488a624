"""What Loki says of a push that it did not take whole (400).

It stores the entries that it takes, and tells of the others in prose. Three forms say which ones they are:

- ``entry for stream '{…}' has timestamp too old: T, oldest acceptable timestamp is: LIMIT`` and
- ``entry with timestamp T ignored, reason: 'entry too far behind, … oldest acceptable timestamp is: LIMIT'``
  refuse everything in a stream that is older than the limit, also when they name one entry of many;
- ``entry with timestamp T ignored, reason: '…'`` is about one entry, and complete if as many are listed as
  ``total ignored: N out of M for stream: {…}`` counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from log_forwarder.sinks.nanoseconds import nanoseconds

_TIME = r"(?P<{}>\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?)(?: \+0000 UTC|Z)?"
_TOO_OLD = re.compile(
    r"has timestamp too old: .{0,60}?oldest acceptable timestamp is: " + _TIME.format("limit")
)
_IGNORED = re.compile(
    r"entry with timestamp " + _TIME.format("time") + r"[^,\n]* ignored, reason: '(?P<reason>[^\n]*?)'"
    r"(?: for stream: (?P<stream>\{[^\n]*?\}))?,?(?:\n|$)"
)
_LIMIT = re.compile(r"oldest acceptable timestamp is: " + _TIME.format("limit"))
_TOTAL = re.compile(r"total ignored: (?P<count>\d+) out of \d+(?: for stream: (?P<stream>\{[^\n]*\}))?")
_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry of a push: the labels of its stream as Loki writes them, and its time in nanoseconds."""

    stream: str
    time: int


@dataclass(frozen=True, slots=True)
class _Rule:
    """Refuses what is in ``stream`` (any, if empty) and at one of ``times``, or before ``limit``."""

    reason: str
    stream: str
    times: frozenset[int] = frozenset()
    limit: int = 0

    def matches(self, sent: Sent) -> bool:
        if self.stream and self.stream != sent.stream:
            return False
        return sent.time < self.limit or sent.time in self.times


def refused_entries(message: str, sent: Sequence[Sent]) -> dict[int, str] | None:
    """Return the entries that a message refuses, by their place; None when it does not say which."""
    rules = list(_rules(message))
    if not rules:
        return None
    found = {}
    for place, entry in enumerate(sent):
        rule = next((rule for rule in rules if rule.matches(entry)), None)
        if rule:
            found[place] = rule.reason
    return found or None


def _rules(message: str) -> Iterator[_Rule]:
    for match in _TOO_OLD.finditer(message):
        # The stream's name in this form has the labels that Loki added, so it is not compared: the limit is
        # the same for all streams.
        yield _Rule(_short(match[0]), "", limit=nanoseconds(match["limit"]))
    begin = 0
    for total in _TOTAL.finditer(message):
        yield from _rules_of_stream(
            message[begin : total.start()], total["stream"] or "", int(total["count"])
        )
        begin = total.end()


def _rules_of_stream(listed: str, stream: str, count: int) -> Iterator[_Rule]:
    matches = list(_IGNORED.finditer(listed))
    for match in matches:
        if limit := _LIMIT.search(match["reason"]):
            yield _Rule(_short(match["reason"]), stream, limit=nanoseconds(limit["limit"]))
    if len(matches) == count:
        for match in matches:
            name = match["stream"] or stream
            yield _Rule(_short(match["reason"]), name, times=frozenset((nanoseconds(match["time"]),)))


def _short(text: str) -> str:
    return " ".join(text[:_EXCERPT].split())
