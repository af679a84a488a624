"""Layers, versions, roll-outs and agents as the API gives them. Pure; times are Unix time, 0 for never."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.manager.configs.compiled import Compiled
from fleet.manager.configs.model import Event, LayerKey, Member, MemberState, Phase, Rollout, Status, Version
from fleet.manager.configs.office import Agent, accepts
from fleet.manager.model import Node
from fleet.opamp.uid import uid_text

# Of a roll-out in a list; one alone is shown whole.
_WORST = (MemberState.FAILED, MemberState.SKIPPED)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer: the number of the version in force, null for none, and the roll-out that has not ended."""

    scope: str
    name: str
    version: int | None
    at: float
    actor: str
    note: str
    rollout: int | None


@dataclass(frozen=True, slots=True)
class LayerRows:
    """Every layer, the weakest first."""

    layers: list[LayerRow]


@dataclass(frozen=True, slots=True)
class VersionText:
    """One text of a layer; ``body`` is null where the layer was taken away."""

    id: int
    scope: str
    name: str
    version: int
    body: str | None
    content_type: str
    at: float
    actor: str
    note: str


@dataclass(frozen=True, slots=True)
class VersionTexts:
    """The versions of a layer, the newest first."""

    versions: list[VersionText]


@dataclass(frozen=True, slots=True)
class Difference:
    """The lines by which two versions of a layer differ, as diff -u writes them; version 0 is nothing."""

    before: int
    after: int
    diff: list[str]


@dataclass(frozen=True, slots=True)
class MemberRow:
    """An agent in a roll-out."""

    uid: str
    node_id: str
    batch: int
    state: MemberState
    reason: str


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """A roll-out: ``agents`` are how many stand how, ``members`` those of whom there is something to say.

    ``version_id`` and ``former_id`` are ids of versions. ``batch`` is the last one that was released.
    """

    id: int
    scope: str
    name: str
    version_id: int
    former_id: int | None
    selector: str
    batch_size: int
    gate_seconds: float
    within_seconds: float
    actor: str
    at: float
    phase: Phase
    reason: str
    batch: int
    batches: int
    released_at: float
    ended_at: float
    agents: dict[str, int]
    members: list[MemberRow]


@dataclass(frozen=True, slots=True)
class RolloutRows:
    """The last roll-outs, the newest first."""

    rollouts: list[RolloutRow]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push has begun: the number of the version, and its roll-out."""

    version: int
    rollout: RolloutRow


@dataclass(frozen=True, slots=True)
class Reported:
    """Something that an agent has said of a configuration."""

    at: float
    hash: str
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """How the configuration of a node stands: what it is to have, what it has applied and refused last.

    ``reported`` is the hash of which it speaks now, ``files`` are the ones that it is to have.
    """

    node_id: str
    uid: str
    accepts: bool
    desired: str
    reported: str
    status: Status
    applied: str
    failed: str
    failed_reason: str
    files: dict[str, str]
    history: list[Reported]


def layer_row(key: LayerKey, version: Version | None, rollout: Rollout | None) -> LayerRow:
    """Return a layer with what is in force, and the roll-out that is under way."""
    there = version is not None and version.body is not None
    return LayerRow(
        scope=str(key.scope),
        name=key.name,
        version=version.number if there and version else None,
        at=version.at if version else 0.0,
        actor=version.actor if version else "",
        note=version.note if version else "",
        rollout=rollout.id if rollout else None,
    )


def version_text(version: Version) -> VersionText:
    """Return a version with its text."""
    return VersionText(
        id=version.id,
        scope=str(version.key.scope),
        name=version.key.name,
        version=version.number,
        body=version.body,
        content_type=version.kind,
        at=version.at,
        actor=version.actor,
        note=version.note,
    )


def rollout_row(rollout: Rollout, *, whole: bool = False) -> RolloutRow:
    """Return a roll-out; with all its members if ``whole``. The registry's lock is held."""
    states = Counter(member.state for member in rollout.members.values())
    shown = [each for each in rollout.members.values() if whole or each.state in _WORST]
    return RolloutRow(
        id=rollout.id,
        scope=str(rollout.key.scope),
        name=rollout.key.name,
        version_id=rollout.version,
        former_id=rollout.former,
        selector=rollout.selector,
        batch_size=rollout.batch_size,
        gate_seconds=rollout.gate,
        within_seconds=rollout.within,
        actor=rollout.actor,
        at=rollout.at,
        phase=rollout.phase,
        reason=rollout.reason,
        batch=rollout.batch,
        batches=rollout.batches,
        released_at=rollout.released_at,
        ended_at=rollout.ended_at,
        agents={state.value: states[state] for state in MemberState},
        members=[_member(member) for member in shown],
    )


def node_config(node: Node, agent: Agent, desired: Compiled | None, events: Sequence[Event]) -> NodeConfig:
    """Return how the configuration of a node stands. The registry's lock is held."""
    files: Mapping[str, tuple[str, str]] = desired.files if desired else {}
    return NodeConfig(
        node_id=node.node_id,
        uid=uid_text(node.uid),
        accepts=accepts(node),
        desired=desired.hash.hex() if desired else "",
        reported=agent.reported.hex(),
        status=agent.status,
        applied=agent.applied,
        failed=agent.failed,
        failed_reason=agent.failed_reason,
        files={name: text for name, (text, _kind) in files.items()},
        history=[Reported(one.at, one.hash, one.status, one.reason) for one in events],
    )


def difference(before: Version | None, after: Version) -> Difference:
    """Return the lines by which two versions differ; ``before`` is None for nothing."""
    lines = difflib.unified_diff(_lines(before), _lines(after), _title(before), _title(after), lineterm="")
    return Difference(before.number if before else 0, after.number, list(lines))


def _member(member: Member) -> MemberRow:
    return MemberRow(uid_text(member.uid), member.node_id, member.batch, member.state, member.reason)


def _lines(version: Version | None) -> list[str]:
    return (version.body or "").splitlines() if version else []


def _title(version: Version | None) -> str:
    if version is None or version.body is None:
        return "nothing"
    return f"{version.key.scope}/{version.key.name} version {version.number}"
