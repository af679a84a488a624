"""What goes wrong on a link, one fault after the other, from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# What a peer of this field needs to see that its manager is gone; one that takes that for the longest there
# is goes wrong here.
STALL_SECONDS = 70.0
# Between two faults the link works, so that each of them is one by itself.
_CALM_SECONDS = (1.0, 6.0)


class Kind(StrEnum):
    """A fault; ``SECONDS`` has for how long each lasts."""

    RESET = "reset"  # every packet of the agent is answered with a reset
    DROP = "drop"  # nothing passes, in either direction
    LOSS = "loss"  # a third of all packets is lost
    FORGOTTEN = "forgotten"  # a router forgets the connection: it is dead for good, new ones work
    REBOOT = "reboot"  # the manager's host dies without a word: half-open, until it is there again
    DNS_SILENT = "dns silent"  # the connection is cut, and no name server answers
    DNS_REFUSED = "dns refused"  # the connection is cut, and the name server's port is closed
    KILL = "kill"  # the manager is killed with -9, and started again
    STALL = "stall"  # nothing passes for 70 s
    FREEZE = "freeze"  # the manager's process is stopped for 70 s; its kernel goes on


SECONDS: Mapping[Kind, tuple[float, float]] = {
    Kind.RESET: (2.0, 12.0),
    Kind.DROP: (1.0, 40.0),
    Kind.LOSS: (5.0, 30.0),
    Kind.FORGOTTEN: (0.0, 0.0),
    Kind.REBOOT: (1.0, 20.0),
    Kind.DNS_SILENT: (2.0, 30.0),
    Kind.DNS_REFUSED: (2.0, 30.0),
    Kind.KILL: (0.0, 15.0),
    Kind.STALL: (STALL_SECONDS, STALL_SECONDS),
    Kind.FREEZE: (STALL_SECONDS, STALL_SECONDS),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: ``calm`` seconds after the link was whole, for ``seconds``."""

    number: int
    kind: Kind
    calm: float
    seconds: float


def faults(count: int, seed: int, kinds: Sequence[Kind] = tuple(Kind)) -> list[Fault]:
    """Return ``count`` faults; the same seed gives the same ones."""
    rng = random.Random(seed)  # noqa: S311 - to be the same again, not to be secret
    return [_fault(rng, number, rng.choice(kinds)) for number in range(count)]


def _fault(rng: random.Random, number: int, kind: Kind) -> Fault:
    return Fault(number, kind, rng.uniform(*_CALM_SECONDS), rng.uniform(*SECONDS[kind]))


def shared(plan: Sequence[Fault], cells: int) -> list[list[Fault]]:
    """Return the faults for each of ``cells`` links, so that all take about as long."""
    shares: list[list[Fault]] = [[] for _ in range(cells)]
    for fault in sorted(plan, key=lambda one: (-one.seconds, one.number)):
        min(shares, key=lambda share: sum(one.seconds + one.calm for one in share)).append(fault)
    return [sorted(share, key=lambda one: one.number) for share in shares]
