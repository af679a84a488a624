"""The members of a group as they are now, each inspected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from compose_agent.dockerd.model import Container, container_from_inspect
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.errors import EngineError, EngineNotFound
from remediation.failover.groups import attachment_of, groups_of
from remediation.failover.model import Attachment, Group, Life, Member
from remediation.model import Target, TargetKind
from remediation.world import World

Inspect = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Ill:
    """Full ids: ``ailing`` of those that probes or a restart loop find ill, ``died`` of those that died."""

    ailing: Collection[str] = ()
    died: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """A group with its members; ``blind`` says why some of them cannot be seen, empty when all can.

    ``away_from`` has the names of those who are to give up their place, though they may be well.
    """

    group: Group
    members: list[Member]
    blind: str = ""
    away_from: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be seen: the containers at any moment, who of them is ill, and the Engine's inspect."""

    world: Callable[[], World]
    ill: Callable[[], Ill]
    inspect: Inspect

    def look(self, target: Target) -> Seen | None:
        """Return the group that is the target, or in which the target is to give up its place.

        None when there is none; raises ActorUnavailable while nobody can tell.
        """
        world = self.world()
        if objection := blind(world):
            raise ActorUnavailable(objection)
        if target.kind is TargetKind.GROUP:
            return look(target.name, world, self.ill(), self.inspect)
        members = world.affected(target)
        groups = {world.group_of(each) for each in members}
        seen = look(groups.pop(), world, self.ill(), self.inspect) if len(groups) == 1 else None
        return seen and replace(seen, away_from=frozenset(each.name for each in members))


def blind(world: World) -> str:
    """Return why nobody can tell who belongs to which group and runs, empty when it can be told."""
    if world.engine_error or not world.unknown:
        return world.engine_error
    return f"{world.unknown} containers could not be looked at yet, and may be of a fail-over group"


def look(name: str, world: World, ill: Ill, inspect: Inspect) -> Seen | None:
    """Return a group as the Engine says that it is, None when there is none of this name (any more)."""
    found: list[Container] = []
    attachments: dict[str, Attachment | None] = {}
    lives: dict[str, Life] = {}
    blind = ""
    wanted = world.groups[name][0].network if name in world.groups else ""
    for known in world.affected(Target(TargetKind.GROUP, name)):
        try:
            raw = inspect(known.id)
            found.append(container_from_inspect(raw))
            attachments[known.id] = attachment_of(raw, wanted)
        except EngineNotFound:
            found.append(known)
            lives[known.id] = Life.GONE
        except EngineError as error:
            found.append(known)
            lives[known.id] = Life.UNKNOWN
            blind = f"{known.name} cannot be seen: {error}"
    groups, _ = groups_of(found, ill.ailing, ill.died)
    group = next((each for each in groups if each.name == name), None)
    if group is None:
        return None
    members = [
        replace(each, life=lives.get(each.id, each.life), attachment=attachments.get(each.id))
        for each in groups[group]
    ]
    return Seen(_on_network(group, attachments), members, blind)


def _on_network(group: Group, attachments: Mapping[str, Attachment | None]) -> Group:
    """Return the group with its network by the name that the Engine has for it."""
    networks = {each.network for each in attachments.values() if each}
    return replace(group, network=min(networks, default=group.network))
