"""Whether a batch of a roll-out has gone well, has gone wrong, or is to be watched further. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from fleet.manager.configs.model import Status
from fleet.manager.model import State


class Outcome(Enum):
    """What becomes of an agent, or of a batch."""

    WATCH = auto()
    PASS = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class Seen:
    """How an agent of the batch stands: ``status`` is what it reports of exactly the version's configuration.

    ``healthy`` is None where it reports no health, ``reports`` False where it does not tell how it took a
    configuration.
    """

    state: State
    status: Status
    reason: str = ""
    healthy: bool | None = None
    healthy_before: bool = True
    reports: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, with the reason of a stop."""

    outcome: Outcome
    reason: str = ""


def has_settled(batch: Iterable[Seen]) -> bool:
    """Tell whether all have applied the version, as far as they say; from then on the gate's time runs."""
    return all(seen.status is Status.APPLIED or not seen.reports for seen in batch)


def judge(seen: Seen, *, over: bool, late: bool) -> Verdict:
    """Return how an agent stands.

    ``over`` when the gate's time has passed, ``late`` when an agent should have applied the version by now.
    """
    if seen.status is Status.FAILED:
        return Verdict(Outcome.STOP, f"it could not take it: {seen.reason or 'it gave no reason'}")
    if seen.healthy is False and seen.healthy_before:
        return Verdict(Outcome.STOP, f"its health is bad: {seen.problem or 'it gave no reason'}")
    if seen.state in {State.OFFLINE, State.DISABLED}:
        return Verdict(Outcome.STOP, f"it is {seen.state}")
    if late and not has_settled([seen]):
        return Verdict(Outcome.STOP, "it has not said in time that it has applied it")
    # Who is late comes back or turns offline, and until then nobody knows.
    passes = over and seen.state is State.ONLINE
    return Verdict(Outcome.PASS if passes else Outcome.WATCH)


def of_batch(verdicts: Iterable[Verdict]) -> Outcome:
    """Return what becomes of a batch: one agent stops it, and all together pass."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.STOP in outcomes:
        return Outcome.STOP
    return Outcome.WATCH if Outcome.WATCH in outcomes else Outcome.PASS


def batch_size(text: str, agents: int) -> int:
    """Return how many agents a batch has: ``25``, or ``10%`` of them, at least one; ValueError else."""
    share = text.strip()
    number = share.removesuffix("%")
    if not number.isascii() or not number.isdecimal() or len(number) > 6 or not int(number):
        raise ValueError(text)
    if number == share:
        return int(number)
    if int(number) > 100:
        raise ValueError(text)
    return max(1, agents * int(number) // 100)
