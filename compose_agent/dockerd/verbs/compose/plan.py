"""What is to be done next so that a service has so many replicas, out of what can be seen. Pure.

Asked again after each step, and after a crash, it leads to the wanted number from wherever things are. What
somebody else has done to the service meanwhile is left as it is: an operator's ``docker compose up`` or
removal is a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compose_agent.dockerd.verbs.compose.clone import clone_name
from compose_agent.dockerd.verbs.compose.siblings import Replica, Service


@dataclass(frozen=True, slots=True)
class Wish:
    """The wanted number of replicas, and those there were when it was wished for: number by id.

    Clones carry the id of their request; ``marked`` is false when Compose makes the replicas, which do not.
    """

    to: int
    known: Mapping[str, int]
    request_id: str
    marked: bool = True

    @property
    def staying(self) -> frozenset[str]:
        """The ids of those that nobody has a reason to remove: with the lowest numbers."""
        return frozenset(sorted(self.known, key=lambda each: (self.known[each], each))[: self.to])


@dataclass(frozen=True, slots=True)
class Finished:
    """There are as many as wanted."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove a clone of this request that never ran."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Wait:
    """The Engine is at removing a replica."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Add:
    """Make one more out of ``source``."""

    source: Replica
    number: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Stop a replica and remove it."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It cannot or must not be gone on with."""

    reason: str


Step = Finished | Discard | Wait | Add | Remove | GiveUp


def next_step(wish: Wish, service: Service, vanished: frozenset[str] = frozenset()) -> Step:
    """Return the next step.

    ``vanished`` are the names of clones of this request that ran and that somebody else has removed since.
    """
    for each in service.replicas:
        if each.request == wish.request_id and not each.was_started:
            return Discard(each)
    for each in service.replicas:
        if each.leaving:
            return Wait(each)
    if len(service.replicas) == wish.to:
        return Finished()
    if reason := _interference(wish, service, vanished):
        return GiveUp(reason)
    return _add(service) if len(service.replicas) < wish.to else _remove(service)


def _interference(wish: Wish, service: Service, vanished: frozenset[str]) -> str:
    """Return what somebody else has done to the service, empty for nothing."""
    there = {each.id for each in service.replicas}
    if gone := wish.staying - there:
        names = ", ".join(f"number {number}" for number in sorted(wish.known[each] for each in gone))
        return (
            f"somebody removed or replaced {names} of {service.target} meanwhile, and that is left as it is"
        )
    if vanished:
        return f"somebody removed {', '.join(sorted(vanished))} again, and that is left as it is"
    strangers = [each.name for each in service.replicas if each.id not in wish.known and not each.request]
    if strangers and wish.marked:
        return f"somebody else added {', '.join(strangers)} meanwhile, and that is left as it is"
    return ""


def _add(service: Service) -> Step:
    if service.source is None:
        return GiveUp(f"no replica of {service.target} is healthy any more, so there is none to copy")
    number = service.next_number
    while service.has_name(clone_name(service.source, number)):
        number += 1  # a container that is no replica has the name
    return Add(service.source, number)


def _remove(service: Service) -> Step:
    last = service.replicas[-1]
    if last.healthy and not any(each.healthy for each in service.replicas[:-1]):
        return GiveUp(f"{last.name} is the last healthy replica of {service.target}, so it is kept")
    return Remove(last)
