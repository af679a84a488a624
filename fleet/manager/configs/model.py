"""Layers, their versions, and roll-outs, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from fleet.manager.configs.scope import Scope


class LayerKey(NamedTuple):
    """A layer: a file by name, for the agents of a scope."""

    scope: Scope
    name: str


@dataclass(frozen=True, slots=True)
class Version:
    """One text of a layer; ``number`` counts from 1 in its layer, ``id`` over all. Never changed.

    ``body`` is None where the layer was taken away. ``at`` is Unix time.
    """

    id: int
    key: LayerKey
    number: int
    body: str | None
    kind: str  # its media type, empty when unknown
    at: float
    actor: str
    note: str = ""


class Phase(StrEnum):
    """How a roll-out stands."""

    RUNNING = "running"
    PAUSED = "paused"
    HELD = "held"  # those selected have it; somebody has to say how it goes on for the others
    REVERTING = "reverting"
    REVERTED = "reverted"
    DONE = "done"


# Those in which some agents have the new version and others do not.
OPEN = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.HELD, Phase.REVERTING})


class MemberState(StrEnum):
    """How an agent stands in a roll-out."""

    WAITING = "waiting"
    RELEASED = "released"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # it was not there at its turn, and gets the version when the roll-out is done
    REVERTED = "reverted"


HAS_VERSION = frozenset({MemberState.RELEASED, MemberState.PASSED})


@dataclass(slots=True)
class Member:
    """An agent in a roll-out; ``batch`` counts from 1. ``reason`` says what was wrong."""

    uid: bytes
    node_id: str
    batch: int
    state: MemberState = MemberState.WAITING
    reason: str = ""
    healthy_before: bool = True


@dataclass(slots=True)
class Rollout:
    """A version on its way to the agents of its layer, batch by batch. Times are Unix time.

    ``former`` is the version before, None where there was none. ``selector`` are matchers, empty for all.
    """

    id: int
    key: LayerKey
    version: int
    former: int | None
    selector: str
    batch_size: int
    gate: float  # seconds for which a batch is watched when all of it has applied the version
    within: float  # seconds that it may take until then
    actor: str
    at: float
    phase: Phase = Phase.RUNNING
    reason: str = ""
    batch: int = 0  # the last one that was released
    released_at: float = 0.0
    ended_at: float = 0.0
    members: dict[bytes, Member] = field(default_factory=dict)

    @property
    def batches(self) -> int:
        """How many there are."""
        return max((each.batch for each in self.members.values()), default=0)

    def has_version(self, uid: bytes) -> bool:
        """Tell whether an agent is to have the new version by now."""
        member = self.members.get(uid)
        return member is not None and member.state in HAS_VERSION


class Status(StrEnum):
    """What an agent reports of the configuration that came last; empty where it reports nothing."""

    UNSET = ""
    APPLIED = "applied"
    APPLYING = "applying"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """A report of an agent at ``at``, Unix time; ``hash`` in hexadecimal digits."""

    uid: bytes
    node_id: str
    at: float
    hash: str
    status: Status
    reason: str
