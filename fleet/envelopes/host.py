"""What an agent tells of its host beside its health: ``com.compose-agent.host.v1``, all of it MessagePack.

``load`` comes with every interval, a :class:`Load`. ``containers`` and ``actions`` come when they have
changed, lists of :class:`ContainerLine` and :class:`ActionLine`, each whole. Nothing is answered: what is
lost with a connection is told again on the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

CAPABILITY = "com.compose-agent.host.v1"
LOAD, CONTAINERS, ACTIONS = "load", "containers", "actions"
# More than one host carries; and of actions what somebody looks at.
MOST_CONTAINERS = 2000
MOST_ACTIONS = 20
# Digits of a container's id, as people and labels use it.
ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a host is; None is unknown. ``cpu`` and ``memory`` are shares, 1 for all of it."""

    load1: float
    processors: int
    cpu: float | None
    memory: float | None
    containers: int
    running: int


class ContainerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One container; ``id`` has 12 digits, ``since`` is Unix time, 0 when it never ran."""

    id: str
    name: str
    project: str
    service: str
    image: str
    state: str
    health: str
    exit_code: int | None
    since: float


class ActionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One action of the host's remediation, as it tells of it; times are Unix time, 0 for not yet."""

    id: str
    state: str
    reason: str
    action: str
    target: str
    policy: str
    alert: str
    created_at: float
    ended_at: float
