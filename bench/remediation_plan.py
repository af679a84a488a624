"""What happens in one tormented run of remediation: who falls ill when, and what goes wrong.

Pure: the same seed is the same plan.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.redelivery import Mischief
from bench.restarts import Expectation

_LONGEST_STOP_SECONDS = 0.8
_LONGEST_START_SECONDS = 0.3
# Of the fail points around a call of the Engine an action passes about ten.
_CLOSE_TO_CALLS = "actor."
_AIMED_SHARE = 0.2


class How(StrEnum):
    """The ways to fall ill."""

    UNHEALTHY = "unhealthy"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Illness:
    """One illness: ``pause`` seconds after the one before, gone after ``heals_after`` or by a restart only.

    ``end_is_told`` is false for an alert whose end nobody hears of, because it fires again before.
    """

    how: How
    expects: Expectation
    pause: float
    heals_after: float | None = None
    end_is_told: bool = True


@dataclass(frozen=True, slots=True)
class Patient:
    """A container and its illnesses; ``deaf`` ones end by SIGKILL only, after a stop timeout of a second."""

    name: str
    opted_in: bool
    deaf: bool
    stop_takes: float
    start_takes: float
    illnesses: Sequence[Illness]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of the fake Engine (see its ``Fault``), ``at`` seconds after the beginning, once."""

    at: float
    route: str
    kind: str
    acts: bool = False


@dataclass(frozen=True, slots=True)
class Doom:
    """How one life of a process ends: by that share of the passes of fail points whose names begin so."""

    share: float
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. ``dooms`` has one for each life of each process that fail points end, the first lives.

    ``one_group`` puts all alerts into one group of Alertmanager's; ``conditional`` lets the policies look
    whether a container is still ill.
    """

    seed: int
    patients: Sequence[Patient]
    dooms: Sequence[Doom]
    longest_pause: float
    mischief: Mischief
    one_group: bool
    conditional: bool
    troubles: Sequence[Trouble]


def make_plan(seed: int, *, troubles: bool = True) -> Plan:
    """Return the plan of a seed; ``troubles`` only where the Engine can have some."""
    dice = random.Random(seed)  # noqa: S311 - the same seed, the same plan
    return Plan(
        seed=seed,
        patients=[*_patients(dice, seed), _bystander(seed)],
        dooms=_dooms(dice),
        longest_pause=dice.choice((0.1, 0.5, 1.5)),
        mischief=Mischief(
            peers=dice.choice((1, 2, 2)),
            unheard=dice.choice((0.0, 0.3, 1.0)),
            again=dice.choice((0.0, 0.3, 0.7)),
        ),
        one_group=dice.random() < 0.3,
        conditional=dice.random() < 0.5,
        troubles=_troubles(dice) if troubles else (),
    )


def _dooms(dice: random.Random) -> list[Doom]:
    """Let every other life die close to a call of the Engine: most passes are the journal's, all the time."""
    anywhere, aimed = Doom(dice.choice((0.03, 0.08, 0.15, 0.3))), Doom(_AIMED_SHARE, _CLOSE_TO_CALLS)
    first = dice.randrange(2)
    return [(anywhere, aimed)[(life + first) % 2] for life in range(dice.randint(4, 9))]


def _patients(dice: random.Random, seed: int) -> list[Patient]:
    count = dice.randint(2, 4)
    patients = [_patient(dice, f"r{seed}-ill-{number}", _illnesses(dice)) for number in range(count)]
    if dice.random() < 0.5:
        lasting = Illness(How.UNHEALTHY, Expectation.NONE, pause=0.2)
        patients.append(_patient(dice, f"r{seed}-private", [lasting], opted_in=False))
    return patients


def _bystander(seed: int) -> Patient:
    return Patient(f"r{seed}-well", True, False, 0.0, 0.0, ())


def _patient(
    dice: random.Random, name: str, illnesses: Sequence[Illness], *, opted_in: bool = True
) -> Patient:
    return Patient(
        name,
        opted_in=opted_in,
        deaf=dice.random() < 0.2,
        stop_takes=dice.choice((0.0, 0.1, dice.uniform(0.0, _LONGEST_STOP_SECONDS))),
        start_takes=dice.choice((0.0, dice.uniform(0.0, _LONGEST_START_SECONDS))),
        illnesses=illnesses,
    )


def _illnesses(dice: random.Random) -> list[Illness]:
    count = dice.randint(1, 3)
    found = [
        Illness(
            dice.choice(tuple(How)),
            Expectation.ONE,
            pause=dice.uniform(0.0, 1.0),
            end_is_told=dice.random() < 0.8,
        )
        for _ in range(count)
    ]
    # The last, so that an action that comes late is not taken for that of the next illness.
    if dice.random() < 0.3:
        heals_after = dice.uniform(0.0, 1.0)
        found.append(Illness(How.UNHEALTHY, Expectation.AT_MOST_ONE, 0.2, heals_after=heals_after))
    return found


def _troubles(dice: random.Random) -> list[Trouble]:
    """Return faults after which the wish can still be fulfilled: the Engine acts, or was never reached."""
    restart, look = "POST /containers/*/restart", "GET /containers/*/json"
    kinds = (
        (restart, "reset", True),
        (restart, "reset", False),
        (restart, "slow", False),
        (restart, "error", True),
        (restart, "garbage", True),
        (look, "error", False),
        (look, "reset", False),
        (look, "truncate", False),
    )
    return [Trouble(dice.uniform(0.0, 4.0), *dice.choice(kinds)) for _ in range(dice.choice((0, 0, 1, 2, 4)))]
