"""What became of containers that fell ill: each must have been restarted exactly as often as was asked for.

Pure: takes what was asked for (cases) and what the Engine said (events), and returns what is wrong. A cycle
is a ``start`` after a ``die``, whoever caused the one or the other; parallel restarts that the Engine makes
one of are one cycle, whatever it says of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# A verdict shows so many of what is wrong; the counts are complete.
_MOST_EXAMPLES = 10


class Expectation(StrEnum):
    """How many cycles an illness is to lead to."""

    ONE = "one"
    NONE = "none"
    # It passed by itself, maybe before the agent came to it.
    AT_MOST_ONE = "at most one"


@dataclass(frozen=True, slots=True)
class Event:
    """What the Engine said: of which container, what (``die``, ``start``), when (Unix seconds, its clock)."""

    container: str
    action: str
    at: float


@dataclass(frozen=True, slots=True)
class Case:
    """One illness of one container, from ``began`` (Unix seconds) until the next one of it began.

    ``acknowledged`` tells whether any notification of it was answered with 2xx: what never was, nobody owes
    anything for.
    """

    container: str
    began: float
    expects: Expectation
    acknowledged: bool


@dataclass(slots=True)
class Verdict:
    """The counts: cases, cycles that belong to them, and what is wrong.

    ``lost`` were acknowledged and never acted on, ``doubled`` has the cycles beyond the one, ``unasked``
    those that nobody asked for.
    """

    cases: int = 0
    acknowledged: int = 0
    cycles: int = 0
    lost: int = 0
    doubled: int = 0
    unasked: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.unasked)


def cycles_of(events: Iterable[Event]) -> Mapping[str, Sequence[float]]:
    """Return for each container when it was started after it had died, in order."""
    found: dict[str, list[float]] = defaultdict(list)
    dead: set[str] = set()
    for event in sorted(events, key=lambda each: each.at):
        if event.action == "die":
            dead.add(event.container)
        elif event.action == "start" and event.container in dead:
            dead.discard(event.container)
            found[event.container].append(event.at)
    return found


def judge(cases: Iterable[Case], events: Iterable[Event]) -> Verdict:
    """Return what is wrong with what happened."""
    verdict = Verdict()
    cycles = cycles_of(events)
    by_container: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_container[case.container].append(case)
    for container in sorted(by_container.keys() | cycles.keys()):
        ill = sorted(by_container.get(container, ()), key=lambda case: case.began)
        _judge_container(verdict, container, ill, cycles.get(container, ()))
    return verdict


def _judge_container(verdict: Verdict, container: str, ill: Sequence[Case], cycles: Sequence[float]) -> None:
    begins = [case.began for case in ill]
    before = sum(at < begins[0] for at in cycles) if begins else len(cycles)
    _note(verdict, "unasked", before, f"{container} was restarted although it was well")
    for number, case in enumerate(ill):
        ends = begins[number + 1] if number + 1 < len(begins) else float("inf")
        _judge_case(verdict, case, sum(case.began <= at < ends for at in cycles))


def _judge_case(verdict: Verdict, case: Case, cycles: int) -> None:
    verdict.cases += 1
    verdict.acknowledged += case.acknowledged
    verdict.cycles += cycles
    about = f"{case.container}, ill since {case.began:.3f}: {cycles} cycles instead of {case.expects}"
    if case.expects is Expectation.NONE:
        _note(verdict, "unasked", cycles, about)
        return
    _note(verdict, "doubled", max(0, cycles - 1), about)
    if case.expects is Expectation.ONE and case.acknowledged:
        _note(verdict, "lost", int(cycles == 0), about)


def _note(verdict: Verdict, what: str, count: int, example: str) -> None:
    if count:
        setattr(verdict, what, getattr(verdict, what) + count)
        if len(verdict.examples) < _MOST_EXAMPLES:
            verdict.examples.append(f"{what}: {example}")
