"""Comparing what a sink has with what was written: lost, repeated, damaged, out of order."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.numbered import parse, stream_of, text_of

# A confirmation is in the forwarder's books a moment after the sink sent it; a kill in between undoes it.
GRACE_SECONDS = 1.5
# Enough to see what is wrong; the rest is counted.
_MOST_EXAMPLES = 5
_NEVER = -1.0


class Arrival(NamedTuple):
    """One event that a sink has stored, in the order in which it did.

    ``container`` are 12 digits, from the metadata. ``acked`` is when the sink confirmed it, on the monotonic
    clock, negative for never.
    """

    container: str
    stream: str
    text: str
    event_id: str
    acked: float = _NEVER


class Span(NamedTuple):
    """A disturbance: a kill (begin and end are the same), or an outage of the sink; monotonic clock."""

    begin: float
    end: float


@dataclass(slots=True)
class Verdict:
    """Numbers of events. ``repeated`` are additional copies, ``unexcused`` those that nothing explains.

    ``strangers`` are events that nobody wrote, ``changed_ids`` copies under another id, ``shared_ids``
    different events under one id. ``confirmed`` are excused copies of what the sink had confirmed before the
    disturbance, at most ``confirmed_seconds`` before: the forwarder had not heard of it or not kept it.
    """

    written: int = 0
    lost: int = 0
    repeated: int = 0
    unexcused: int = 0
    corrupted: int = 0
    disordered: int = 0
    strangers: int = 0
    changed_ids: int = 0
    shared_ids: int = 0
    confirmed: int = 0
    confirmed_seconds: float = 0.0
    examples: list[str] = field(default_factory=list)

    def good(self, *, exactly_once: bool) -> bool:
        """Tell whether nothing is wrong; only a sink that cannot tell may have excused copies."""
        faults = (self.lost, self.unexcused, self.corrupted, self.disordered, self.strangers)
        return not any((*faults, self.changed_ids, self.shared_ids, exactly_once and self.repeated))


class _Account:
    """What is known of one container's lines."""

    def __init__(self, lines: int) -> None:
        self.seen = bytearray(lines)
        self.acked = array("d", [_NEVER]) * lines
        self.ids = array("q", [0]) * lines
        self.newest = {"stdout": -1, "stderr": -1}


class Ledger:
    """Takes arrivals one by one; ``lines`` says how many each container (12 digits) has written.

    ``ordered`` is False for a sink that keeps no order of arrival.
    """

    def __init__(
        self,
        lines: Mapping[str, int],
        spans: Sequence[Span] = (),
        *,
        long_every: int = 0,
        ordered: bool = True,
    ) -> None:
        self._accounts = {container: _Account(count) for container, count in lines.items()}
        self._spans = tuple(spans)
        self._long_every = long_every
        self._ordered = ordered
        self._verdict = Verdict(written=sum(lines.values()))

    def take(self, arrival: Arrival) -> None:
        """Take note of a stored event."""
        found = parse(arrival.text)
        account = self._accounts.get(arrival.container)
        if found is None or account is None or found[0] != arrival.container:
            self._note("strangers", arrival.text[:80])
            return
        number = found[1]
        if number >= len(account.seen):
            self._note("strangers", arrival.text[:80])
            return
        self._check_text(arrival, number)
        if account.seen[number]:
            self._take_copy(account, arrival, number)
        else:
            self._take_first(account, arrival, number)

    def verdict(self) -> Verdict:
        """Return what is wrong so far; what has not arrived counts as lost."""
        verdict = self._verdict
        verdict.lost = verdict.shared_ids = 0
        for container, account in self._accounts.items():
            missing = account.seen.count(0)
            verdict.lost += missing
            if missing:
                self._example(f"lost: {container}:{account.seen.find(0)}, and {missing - 1} more")
            known = [each for each, seen in zip(account.ids, account.seen, strict=True) if seen]
            if shared := len(known) - len(set(known)):
                verdict.shared_ids += shared
                self._example(f"shared ids: {shared} of {container}")
        return verdict

    def _check_text(self, arrival: Arrival, number: int) -> None:
        expected = text_of(arrival.container, number, self._long_every)
        if arrival.text != expected or arrival.stream != stream_of(number):
            self._note("corrupted", f"{arrival.container}:{number} on {arrival.stream}")

    def _take_first(self, account: _Account, arrival: Arrival, number: int) -> None:
        account.seen[number] = 1
        account.acked[number] = arrival.acked
        account.ids[number] = hash(arrival.event_id)
        newest = account.newest.get(arrival.stream, -1)
        if self._ordered and number < newest:
            self._note("disordered", f"{arrival.container}:{number} behind {newest}")
        account.newest[arrival.stream] = max(number, newest)

    def _take_copy(self, account: _Account, arrival: Arrival, number: int) -> None:
        self._verdict.repeated += 1
        if account.ids[number] != hash(arrival.event_id):
            self._note("changed_ids", f"{arrival.container}:{number} as {arrival.event_id}")
        self._judge_copy(account.acked[number], f"{arrival.container}:{number} again")
        # A copy of the copy is excused by what became of the copy.
        account.acked[number] = arrival.acked

    def _judge_copy(self, acked: float, example: str) -> None:
        """Judge a copy of what was confirmed at ``acked``; negative for never, which explains it."""
        if acked < 0:
            return
        early = [span.begin - acked for span in self._spans if _covers(span, acked)]
        if not early:
            self._note("unexcused", example)
        elif min(early) > 0:
            self._verdict.confirmed += 1
            self._verdict.confirmed_seconds = max(self._verdict.confirmed_seconds, round(min(early), 3))

    def _note(self, what: str, example: str) -> None:
        setattr(self._verdict, what, getattr(self._verdict, what) + 1)
        self._example(f"{what}: {example}")

    def _example(self, text: str) -> None:
        if len(self._verdict.examples) < _MOST_EXAMPLES:
            self._verdict.examples.append(text)


def _covers(span: Span, acked: float) -> bool:
    """Tell whether a forwarder may not have known of a confirmation at a disturbance."""
    return span.begin - GRACE_SECONDS <= acked <= span.end + GRACE_SECONDS
