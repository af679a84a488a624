"""The containers as remediation sees them: one snapshot, and the questions it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from compose_agent.dockerd.model import Container
from remediation.failover.groups import groups_of
from remediation.failover.model import Group
from remediation.model import Target, TargetKind
from remediation.replicas import replicas_wanted


@dataclass(frozen=True)
class World:
    """Every container at one moment; ``engine_error`` is why that cannot be known, empty when it is.

    ``unknown`` counts containers that are there and could not be looked at yet. ``deployments`` has, by
    Compose project, when (Unix seconds) somebody last made, removed or renamed one of its containers.
    ``stopped_by_hand`` has the ids of those that somebody else stopped, ``behind`` those of whom it is known
    that they have changed, and not yet how.
    """

    containers: Sequence[Container] = ()
    engine_error: str = ""
    deployments: Mapping[str, float] = field(default_factory=dict)
    stopped_by_hand: frozenset[str] = frozenset()
    unknown: int = 0
    behind: frozenset[str] = frozenset()

    @cached_property
    def _by_name(self) -> Mapping[str, Container]:
        return {each.name: each for each in self.containers}

    @cached_property
    def _by_service(self) -> Mapping[str, Sequence[Container]]:
        found: dict[str, list[Container]] = {}
        for each in self.containers:
            if each.compose_service and not each.one_off:
                found.setdefault(service_of(each), []).append(each)
        return found

    @cached_property
    def _by_network(self) -> Mapping[str, Sequence[Container]]:
        found: dict[str, list[Container]] = {}
        for each in self.containers:
            if each.network_mode.startswith("container:"):
                found.setdefault(each.network_mode, []).append(each)
        return found

    @cached_property
    def groups(self) -> Mapping[str, tuple[Group, Sequence[Container]]]:
        """The fail-over groups by name, with their containers; not those whose labels do not fit."""
        found, _ = groups_of(self.containers)
        return {
            group.name: (group, [self._by_name[each.name] for each in members])
            for group, members in found.items()
        }

    @cached_property
    def _groups_by_id(self) -> Mapping[str, str]:
        return {each.id: name for name, (_, members) in self.groups.items() for each in members}

    def group_of(self, container: Container) -> str:
        """Return the name of a container's fail-over group, empty for none."""
        return self._groups_by_id.get(container.id, "")

    def container(self, target: Target) -> Container | None:
        """Return the container that is the target, None if it is gone or the target is none."""
        return self._by_name.get(target.name) if target.kind is TargetKind.CONTAINER else None

    def replicas(self, service: str) -> Sequence[Container]:
        """Return the containers of a Compose service, by ``project/service``."""
        return self._by_service.get(service, ())

    def replicas_wanted(self, service: str, arguments: Mapping[str, Any]) -> int:
        """Return how many replicas a scale action means for a service; ValueError if labels forbid to say.

        Replicas that were made at different times may have different labels; the newest says what is meant.
        """
        replicas = self.replicas(service)
        newest = max(replicas, key=lambda each: each.created_at or 0.0, default=None)
        return replicas_wanted(len(replicas), newest.labels if newest else {}, arguments)

    def affected(self, target: Target) -> Sequence[Container]:
        """Return the containers that an action on a target touches; nothing if it is gone."""
        if target.kind is TargetKind.SERVICE:
            return self.replicas(target.name)
        if target.kind is TargetKind.GROUP:
            return self.groups[target.name][1] if target.name in self.groups else ()
        container = self.container(target)
        return (container,) if container else ()

    def dependents(self, container: Container) -> Sequence[Container]:
        """Return who runs in a container's network, or in theirs, and loses it when that one restarts.

        In an order in which they can be restarted, each once.
        """
        found = {container.id: container}
        waiting = [container]
        while waiting:
            parent = waiting.pop(0)
            for mode in (f"container:{parent.id}", f"container:{parent.name}"):
                for each in self._by_network.get(mode, ()):
                    if each.alive and each.id not in found:
                        found[each.id] = each
                        waiting.append(each)
        return list(found.values())[1:]


def service_of(container: Container) -> str:
    """Return ``project/service``, empty for a container outside Compose."""
    if not container.compose_service:
        return ""
    return f"{container.compose_project}/{container.compose_service}"


def is_well(container: Container) -> bool:
    """Tell whether a container runs, and is healthy as far as anybody checks."""
    return container.state == "running" and container.health in ("none", "healthy")
