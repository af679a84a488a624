"""What is asked of the actor for an intent, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.verbs.model import VerbRequest
from remediation.actions import FAILOVER, RENEW_NETWORK
from remediation.calls import CALLS
from remediation.calls.rendering import NO_OCCASION, Occasion, rendered
from remediation.model import Intent, TargetKind
from remediation.world import World

_SERVICE_VERBS = {"scale": "compose_scale"}
_SWARM_VERBS = {
    "swarm-scale": "swarm_scale",
    "swarm-update": "swarm_update",
    "swarm-rollback": "swarm_rollback",
}


@dataclass(frozen=True, slots=True)
class _Wish:
    """A verb and its target; ``own`` is what the policy asks for, the rest follows from it."""

    verb: str
    target: str
    own: bool = True


def requests_for(intent: Intent, world: World, occasion: Occasion = NO_OCCASION) -> Sequence[VerbRequest]:
    """Return the requests, whose ids follow from the intent's, so that asking again does nothing twice.

    Texts are filled in from the ``occasion`` here: what is on disk is what is sent.
    """
    arguments = _arguments(intent, world, occasion)
    return [
        VerbRequest(
            id=f"{intent.id}.{number}",
            verb=wish.verb,
            target=wish.target,
            arguments=arguments if wish.own else {},
            begin_by=intent.begin_by,
            reason=f"policy {intent.policy}, {intent.action} of {intent.target}",
        )
        for number, wish in enumerate(_wishes(intent, world))
    ]


def _arguments(intent: Intent, world: World, occasion: Occasion) -> dict[str, Any]:
    if intent.action in CALLS:
        return rendered(intent, occasion)
    if intent.target.kind is TargetKind.SERVICE and intent.action in _SERVICE_VERBS:
        kept = {key: value for key, value in intent.arguments.items() if key == "through"}
        return {"to": world.replicas_wanted(intent.target.name, intent.arguments), **kept}
    return dict(intent.arguments)


def _wishes(intent: Intent, world: World) -> Iterator[_Wish]:
    match intent.target.kind:
        case _ if intent.action == FAILOVER:
            return  # its steps follow from one another; see remediation/failover
        case _ if intent.action in CALLS:
            yield _Wish(intent.action, str(intent.target))
        case TargetKind.SERVICE if intent.action in _SERVICE_VERBS:
            yield _Wish(_SERVICE_VERBS[intent.action], intent.target.name)
        case TargetKind.SWARM_SERVICE:
            yield _Wish(_SWARM_VERBS.get(intent.action, intent.action), intent.target.name)
        case _:
            for container in _in_order(world.affected(intent.target)):
                yield _Wish(intent.action, container.id)
                if intent.action in RENEW_NETWORK:
                    for each in world.dependents(container):
                        yield _Wish("restart", each.id, own=False)


def _in_order(containers: Sequence[Container]) -> Sequence[Container]:
    """Return replicas by their numbers."""
    return sorted(containers, key=lambda each: (len(each.compose_number), each.compose_number, each.name))
