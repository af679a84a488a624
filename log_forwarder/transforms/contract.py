"""What a transform is, what it may hold back, and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

from compose_agent.config import Option
from compose_agent.errors import ComposeAgentError
from log_forwarder.event import Event, Mark

# (number of events, reason): they are counted as dropped for this reason.
Drop = Callable[[int, str], None]
# The typed value of every key of a transform: unset is None, or () for what takes several.
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Counters:
    """Where transforms count: events dropped by reason, redactions by rule, lines that a transform failed on.

    A line that a transform failed on is shipped as it was written.
    """

    dropped: Drop
    redacted: Callable[[int, str], None]
    failed: Callable[[int, str], None]


class Transform(Protocol):
    """Changes events of one container; one object for each container, called in one thread."""

    def __call__(self, events: list[Event], /) -> list[Event]:
        """Return the events to go on with: changed in place, fewer, or merged, in order for each stream."""


@runtime_checkable
class Holding(Protocol):
    """A transform that holds lines back until it has seen the next ones."""

    def held(self) -> tuple[tuple[str, Mark], ...]:
        """Return, for each stream with lines held back, where the first of them begins."""

    def due(self, now: float, *, everything: bool = False) -> list[Event]:
        """Return what was held long enough at ``now`` (monotonic seconds), or all, and hold it no more."""


class Stage(IntEnum):
    """When a transform has its turn; within a stage they go by name."""

    MERGE = 1
    REDACT = 2
    PARSE = 3
    LIFT = 4
    FILTER = 5
    SAMPLE = 6
    LIMIT = 7


class Unusable(ComposeAgentError):
    """Values that are right one by one, but not together."""


@dataclass(frozen=True, slots=True)
class TransformKind:
    """A kind of transform: its keys below ``logs.``, which are also those of labels, and its maker.

    ``make`` gets the values of ``keys``, returns None if they ask for nothing, and raises :class:`Unusable`.
    With ``protects`` an event that the transform could not look at, because of a fault, is not shipped.
    """

    name: str
    help: str
    stage: Stage
    keys: tuple[Option, ...]
    make: Callable[[Values, Counters], Transform | None]
    protects: bool = False
