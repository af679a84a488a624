"""Merge lines that belong together: stack traces, or whatever begins with a pattern.

What comes out depends on the lines and on Docker's times alone, not on when they are read: after a restart,
fed from the first held line of a stream on, the same groups come out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from compose_agent.config import Option, kinds
from compose_agent.config.kinds import Detail, Kind
from compose_agent.config.nearest import did_you_mean, nearest
from log_forwarder.event import Event, Mark
from log_forwarder.moments import unix_seconds
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values
from log_forwarder.transforms.marks import mark_of
from log_forwarder.transforms.patterns import Pattern, matches, regex
from log_forwarder.transforms.stacktraces import LANGUAGES

# A group that grows beyond these goes on in a new event: sinks refuse large ones, and while lines are held
# the position does not move.
MOST_LINES = 500
MOST_CHARACTERS = 256 * 1024
LONGEST_SECONDS = 10.0
# Lines that are part of a trace only if more follows; source code and blank lines come in few.
_MOST_UNSURE = 16
# What was written in time may be read this much later: a look at the files, and a loaded machine.
_SLACK_SECONDS = 0.5


class Rules(Protocol):
    """Tells which lines belong together, with a state of its own from line to line."""

    @property
    def unsure(self) -> frozenset[str]:
        """States after lines that belong to the group only if more follows."""

    def begin(self, text: str) -> str | None:
        """Return the state after the first line of a group, None for a line that stands alone."""

    def follow(self, state: str, text: str) -> str | None:
        """Return the state after one more line, None if it does not belong to the group."""


@dataclass(frozen=True, slots=True)
class StartPattern:
    """Every line that matches begins a group."""

    pattern: Pattern
    unsure: frozenset[str] = frozenset()

    def begin(self, text: str) -> str | None:
        """Hold every line: what comes before the first match is a group too."""
        return "open"

    def follow(self, state: str, text: str) -> str | None:
        """Go on until a line matches."""
        return None if matches(self.pattern, text) else "open"


@dataclass(slots=True)
class _Group:
    """Lines of one stream that are held back; ``unsure`` ones belong to it only if more follows."""

    first: Event
    state: str
    began: float
    last: float
    arrived: float
    size: int
    lines: list[str]
    unsure: list[Event] = field(default_factory=list)

    def has_room(self, event: Event) -> bool:
        return (
            len(self.lines) + len(self.unsure) < MOST_LINES
            and len(self.unsure) < _MOST_UNSURE
            and self.size + len(event.log) < MOST_CHARACTERS
        )

    def add(self, event: Event, *, sure: bool) -> None:
        self.size += len(event.log) + 1
        if sure:
            self.lines += [*(each.log for each in self.unsure), event.log]
            self.unsure.clear()
        else:
            self.unsure.append(event)

    def close(self) -> list[Event]:
        if len(self.lines) > 1:
            self.first.log = "\n".join(self.lines)
        return [self.first, *self.unsure]


class Multiline:
    """Merges the lines of each stream; a merged event has the id, time and stream of its first line."""

    def __init__(self, rules: Rules, timeout: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._timeout = timeout
        self._monotonic = monotonic
        self._open: dict[str, _Group] = {}

    def __call__(self, events: list[Event]) -> list[Event]:
        """Return what is complete; see :class:`Transform`."""
        done: list[Event] = []
        now = self._monotonic()
        for event in events:
            group = self._open.get(event.stream)
            if group is not None:
                if self._joins(group, event, now):
                    continue
                done += self._open.pop(event.stream).close()
            state = self._rules.begin(event.log)
            if state is None:
                done.append(event)
            else:
                at = unix_seconds(event.time)
                self._open[event.stream] = _Group(event, state, at, at, now, len(event.log), [event.log])
        return done

    def held(self) -> tuple[tuple[str, Mark], ...]:
        """Return where the open groups begin; see :class:`Holding`."""
        if not self._open:
            return ()
        return tuple((stream, mark_of(each.first.id)) for stream, each in self._open.items())

    def due(self, now: float, *, everything: bool = False) -> list[Event]:
        """Return the groups to which nothing was added for the timeout; see :class:`Holding`."""
        limit = now - self._timeout - _SLACK_SECONDS
        streams = [stream for stream, each in self._open.items() if everything or each.arrived < limit]
        return [event for stream in streams for event in self._open.pop(stream).close()]

    def _joins(self, group: _Group, event: Event, now: float) -> bool:
        """Add a line to a group, if it belongs to it."""
        if not group.has_room(event):
            return False
        at = unix_seconds(event.time)
        if at - group.last > self._timeout or at - group.began > LONGEST_SECONDS:
            return False
        if (state := self._rules.follow(group.state, event.log)) is None:
            return False
        group.add(event, sure=state not in self._rules.unsure)
        group.state, group.last, group.arrived = state, at, now
        return True


def _rules(text: str) -> Rules:
    if text.startswith("^"):
        return StartPattern(regex.parse(text))
    if text not in LANGUAGES:
        words = f"{', '.join(LANGUAGES)}, or a regular expression that begins with ^"
        raise Detail(f"expected one of {words}, not '{text}'{did_you_mean(nearest(text, LANGUAGES))}")
    return LANGUAGES[text]


def _make(values: Values, _counters: Counters) -> Transform | None:
    rules = values["multiline"]
    return Multiline(rules, values["multiline-timeout"]) if rules else None


TRANSFORM = TransformKind(
    name="multiline",
    help="Merge lines that belong together.",
    stage=Stage.MERGE,
    keys=(
        Option(
            "multiline",
            Kind(
                "multiline",
                f"one of {', '.join(LANGUAGES)}, or a regular expression that begins with ^",
                _rules,
            ),
            None,
            "Merge the lines of stack traces of this language, or from each line that matches to the "
            "next one that does.",
        ),
        Option(
            "multiline-timeout",
            kinds.positive_duration,
            "1s",
            "Lines with a longer pause between them are not merged, and the last one waits no longer.",
        ),
    ),
    make=_make,
)
