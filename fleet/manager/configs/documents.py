"""Layers, versions, roll-outs and agents as the API gives them. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from fleet.manager.configs.model import Event, LayerKey, MemberState, Rollout, Version
from fleet.manager.configs.office import Agent, accepts
from fleet.manager.model import Node
from fleet.opamp.uid import uid_text

# Of a roll-out in a list; one alone is shown whole.
_WORST = (MemberState.FAILED, MemberState.SKIPPED)


def layer_document(key: LayerKey, version: Version | None, rollout: Rollout | None) -> dict[str, Any]:
    """Return a layer with what is in force, and the roll-out that is under way."""
    gone = version is None or version.body is None
    return {
        "scope": str(key.scope),
        "name": key.name,
        "version": None if gone or version is None else version.number,
        "at": version.at if version else 0.0,
        "actor": version.actor if version else "",
        "note": version.note if version else "",
        "rollout": rollout.id if rollout else None,
    }


def version_document(version: Version) -> dict[str, Any]:
    """Return a version with its text; ``body`` is null where the layer was taken away."""
    return {
        "id": version.id,
        "scope": str(version.key.scope),
        "name": version.key.name,
        "version": version.number,
        "body": version.body,
        "content_type": version.kind,
        "at": version.at,
        "actor": version.actor,
        "note": version.note,
    }


def rollout_document(rollout: Rollout, *, whole: bool = False) -> dict[str, Any]:
    """Return a roll-out; all its members if ``whole``, else those of which there is something to say."""
    states = Counter(member.state for member in rollout.members.values())
    shown = [each for each in rollout.members.values() if whole or each.state in _WORST]
    return {
        "id": rollout.id,
        "scope": str(rollout.key.scope),
        "name": rollout.key.name,
        "version_id": rollout.version,
        "former_id": rollout.former,
        "selector": rollout.selector,
        "batch_size": rollout.batch_size,
        "gate_seconds": rollout.gate,
        "within_seconds": rollout.within,
        "actor": rollout.actor,
        "at": rollout.at,
        "phase": rollout.phase.value,
        "reason": rollout.reason,
        "batch": rollout.batch,
        "batches": rollout.batches,
        "released_at": rollout.released_at,
        "ended_at": rollout.ended_at,
        "agents": {state.value: states[state] for state in MemberState},
        "members": [
            {
                "uid": uid_text(member.uid),
                "node_id": member.node_id,
                "batch": member.batch,
                "state": member.state.value,
                "reason": member.reason,
            }
            for member in shown
        ],
    }


def agent_document(node: Node, agent: Agent, desired: bytes, events: Sequence[Event]) -> dict[str, Any]:
    """Return how the configuration of a node stands: desired, applied and failed hashes, and history."""
    return {
        "node_id": node.node_id,
        "uid": uid_text(node.uid),
        "accepts": accepts(node),
        "desired": desired.hex(),
        "reported": agent.reported.hex(),
        "status": agent.status.value,
        "applied": agent.applied,
        "failed": agent.failed,
        "failed_reason": agent.failed_reason,
        "history": [
            {"at": one.at, "hash": one.hash, "status": one.status.value, "reason": one.reason}
            for one in events
        ],
    }


def unified_diff(before: Version | None, after: Version | None) -> list[str]:
    """Return the lines by which two versions differ, as ``diff -u`` writes them, without line ends."""
    return list(
        difflib.unified_diff(_lines(before), _lines(after), _title(before), _title(after), lineterm="")
    )


def _lines(version: Version | None) -> list[str]:
    return (version.body or "").splitlines() if version else []


def _title(version: Version | None) -> str:
    if version is None or version.body is None:
        return "nothing"
    return f"{version.key.scope}/{version.key.name} version {version.number}"
