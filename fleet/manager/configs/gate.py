"""Whether a batch of a roll-out has gone well, has gone wrong, or is to be watched further. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from fleet.manager.configs.model import Status
from fleet.manager.model import State

# Roles that have just begun anew look for their Engine and their neighbours first, and an agent tells of its
# health every ten seconds or a little later: what is well again with the next news has done no harm.
ILL_SECONDS = 15.0
# Whoever was ill since it has the version has to stay well for longer than that, or it comes and goes.
WELL_SECONDS = 30.0


class Outcome(Enum):
    """What becomes of an agent, or of a batch."""

    WATCH = auto()
    PASS = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class Seen:
    """How an agent of the batch stands: ``status`` is what it reports of exactly the version's configuration.

    ``ill_for`` is for how many seconds its health has been bad, ``well_for`` for how many it has been good
    again; None where it is not, or was bad before the version came. ``reports`` is False where it does not
    tell how it took a configuration.
    """

    state: State
    status: Status
    reason: str = ""
    ill_for: float | None = None
    well_for: float | None = None
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
    heard = seen.state is State.ONLINE
    if heard and seen.ill_for is not None and seen.ill_for >= ILL_SECONDS:
        return Verdict(Outcome.STOP, f"its health is bad: {seen.problem or 'it gave no reason'}")
    if seen.state in {State.OFFLINE, State.DISABLED}:
        return Verdict(Outcome.STOP, f"it is {seen.state}")
    if late and not has_settled([seen]):
        return Verdict(Outcome.STOP, "it has not said in time that it has applied it")
    # Who is late comes back or turns offline, who is ill becomes well or stays ill; until then nobody knows.
    recovers = seen.ill_for is not None or (seen.well_for is not None and seen.well_for < WELL_SECONDS)
    passes = over and heard and not recovers
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
