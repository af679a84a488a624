"""The verb that gives a Compose service so many replicas."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.deadline import Deadline
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.compose import refusals, steps
from compose_agent.dockerd.verbs.compose.calls import vanished_clones
from compose_agent.dockerd.verbs.compose.cli import ComposeCli
from compose_agent.dockerd.verbs.compose.look import injected_into_source, look_at
from compose_agent.dockerd.verbs.compose.plan import (
    Add,
    Discard,
    Finished,
    GiveUp,
    Remove,
    Step,
    Wait,
    Wish,
    next_step,
)
from compose_agent.dockerd.verbs.compose.refusals import Refusal
from compose_agent.dockerd.verbs.compose.siblings import Service
from compose_agent.dockerd.verbs.containers import engine_clock
from compose_agent.dockerd.verbs.contract import (
    Done,
    Facts,
    Failed,
    InProgress,
    NeverSent,
    Observation,
    Refused,
)
from compose_agent.dockerd.verbs.counts import wanted_count
from compose_agent.dockerd.verbs.model import VerbRequest

NANOSECONDS = 10**9

ENGINE, CLI, AUTO = "engine", "cli", "auto"
# A removal, or a creation by somebody else, takes the Engine a second at most; what takes longer hangs, and
# is left to ``observe``.
PATIENCE_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a request asks for: ``to`` replicas, within the caller's bounds, by the Engine or by Compose."""

    to: int
    through: str = AUTO

    @classmethod
    def of(cls, request: VerbRequest) -> Arguments:
        """Return the arguments of a request; raises Refused when they mean nothing."""
        to = wanted_count(request.arguments, others=("through",))
        through = request.arguments.get("through", AUTO)
        if through not in (ENGINE, CLI, AUTO):
            raise Refused(f"'{through}' is no way to scale: choose {AUTO}, {ENGINE} or {CLI}")
        return cls(to, through)


class ComposeScale:
    """Adds clones of a healthy replica, or removes those with the highest numbers, until there are ``to``.

    The target is ``project/service``. Every container of the service counts, whether it runs or not, because
    Compose counts so. ``cli`` is Compose itself, for services that cannot be cloned; None where that is no
    option, as in a broker.
    """

    name = "compose_scale"
    action = "scale"

    def __init__(self, cli: ComposeCli | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._cli = cli
        self._sleep = sleep

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Look at the service and decide by which way it can be scaled."""
        arguments = Arguments.of(request)
        if not all(request.target.partition("/")):
            raise Refused(
                f"'{request.target}' is no service: a project, '/', and a service of it are expected"
            )
        service, now = look_at(client, request.target), engine_clock(client)
        _refuse(refusals.of_service(service, now / NANOSECONDS))
        through = self._way(client, service, arguments)
        labels = (service.source or service.replicas[0]).container.labels
        return {
            "name": request.target,
            "labels": dict(labels),
            "to": arguments.to,
            "through": through,
            "engine_ns": now,
            "replicas": [{"id": r.id, "name": r.name, "number": r.number} for r in service.replicas],
        }

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Take step after step until there are as many replicas as wanted, or it cannot be gone on with."""
        if facts["through"] == CLI:
            self._call_compose(client, request, facts)
            return
        patience = Deadline(PATIENCE_SECONDS)
        while not patience.expired:
            _, step = _look_and_choose(client, request, facts)
            if isinstance(step, Finished | GiveUp):
                return
            if not isinstance(step, Wait) and _take(client, step, request.id):
                patience.restart(PATIENCE_SECONDS)
            else:
                self._sleep(_LOOK_AGAIN_SECONDS)

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Find out how far it came; half of the way is NeverSent, because another call goes the rest."""
        service, step = _look_and_choose(client, request, facts)
        if isinstance(step, Finished):
            return Done(_details(service, facts))
        if isinstance(step, GiveUp):
            return Failed(step.reason)
        return InProgress() if isinstance(step, Wait) else NeverSent()

    def _call_compose(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        service = look_at(client, request.target)
        if service.replicas and self._cli is not None:
            self._cli.scale(service, int(facts["to"]), client.endpoint.host)

    def _way(self, client: EngineClient, service: Service, arguments: Arguments) -> str:
        """Return by which way the service is scaled; raises Refused when there is none."""
        found = _against(client, service, arguments.to)
        _refuse([each for each in found if not each.compose_can])
        if arguments.through == ENGINE or (arguments.through == AUTO and not found):
            _refuse(found)
            return ENGINE
        if obstacle := self._obstacle(client, service):
            own = "".join(f"{each.sentence}; and " for each in found)
            raise Refused(f"{own}Compose itself cannot scale {service.target}: {obstacle}")
        return CLI

    def _obstacle(self, client: EngineClient, service: Service) -> str:
        if self._cli is None:
            return "it is not used behind a broker"
        return self._cli.obstacle(service, client.endpoint.host)


def _against(client: EngineClient, service: Service, to: int) -> list[Refusal]:
    if to > len(service.replicas):
        return refusals.of_growth(service, injected_into_source(client, service))
    return refusals.of_shrinking(service, to)


def _look_and_choose(client: EngineClient, request: VerbRequest, facts: Facts) -> tuple[Service, Step]:
    wish, service = _wish(request, facts), look_at(client, request.target)
    gone = _vanished(client, wish, service, int(facts["engine_ns"]))
    return service, next_step(wish, service, gone)


def _vanished(client: EngineClient, wish: Wish, service: Service, since_ns: int) -> frozenset[str]:
    if len(service.replicas) >= wish.to:
        return frozenset()  # none is missing
    return vanished_clones(client, wish.request_id, since_ns)


def _take(client: EngineClient, step: Add | Remove | Discard, request_id: str) -> bool:
    """Take a step; False when somebody else was faster."""
    if isinstance(step, Add):
        return steps.add(client, step, request_id)
    if isinstance(step, Remove):
        steps.remove(client, step.replica)
        return True
    steps.discard(client, step.replica.id)
    if step.replica.error:
        raise steps.not_started(step.replica.name, step.replica.error, 500)
    return True


def _wish(request: VerbRequest, facts: Facts) -> Wish:
    known = {str(each["id"]): int(each["number"]) for each in facts["replicas"]}
    return Wish(int(facts["to"]), known, request.id, marked=facts["through"] == ENGINE)


def _details(service: Service, facts: Facts) -> Mapping[str, Any]:
    before = {str(each["name"]) for each in facts["replicas"]}
    after = {each.name for each in service.replicas}
    return {
        "replicas": len(after),
        "added": sorted(after - before),
        "removed": sorted(before - after),
        "not_running": sorted(each.name for each in service.replicas if each.container.state != "running"),
        "through": facts["through"],
    }


def _refuse(found: list[Refusal]) -> None:
    if found:
        raise Refused("; ".join(dict.fromkeys(each.sentence for each in found)))
