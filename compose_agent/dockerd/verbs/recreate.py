"""Replace a container by a new one of the same name and configuration, with the same volumes and networks.

The new one is made under a name of its own, the old one stopped and renamed, the new one given the name and
started, and the old one removed at the very end. If the new one does not start, the old one comes back. Which
steps are done can be seen at any time from who has which name, so after a crash the rest is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.blueprint import blueprint, further_networks, image_reference
from compose_agent.dockerd.verbs.containers import ANSWER_SECONDS, Look, facts_of, look, must_look
from compose_agent.dockerd.verbs.contract import (
    Done,
    Facts,
    Failed,
    InProgress,
    NeverSent,
    Observation,
    Refused,
    Unfinished,
)
from compose_agent.dockerd.verbs.evidence import gather
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.namespaces import dependents
from compose_agent.dockerd.verbs.optin import RESTART
from compose_agent.dockerd.verbs.stopping import stop_facts
from compose_agent.errors import EngineRefused
from compose_agent.failpoints import failpoint

SWARM_TASK_LABEL = "com.docker.swarm.task.id"
_TAG_DIGITS = 8


@dataclass(frozen=True, slots=True)
class World:
    """Who there is: the old container, and the new one under its own or its final name."""

    old: Look | None
    new: Look | None


class Recreate:
    """Arguments: ``timeout`` and ``signal`` of the old one's stop. The details have the new ``id``."""

    name = "recreate"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Note how the container is before; raises Refused for one that is not ours to make again."""
        seen = must_look(client, request)
        if seen.raw["HostConfig"].get("AutoRemove"):
            raise Refused(f"{seen.name} removes itself when it stops (--rm), so it cannot be made again")
        if SWARM_TASK_LABEL in seen.labels:
            raise Refused(f"{seen.name} belongs to Swarm, which makes its containers itself")
        if sharing := dependents(client.list_containers()).get(seen.id):
            raise Refused(
                f"{len(sharing)} containers share the network of {seen.name} by its id, and would lose it"
            )
        return facts_of(client, seen, **stop_facts(client, seen, request), **_names(request, seen.name))

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Do the steps that are left to do."""
        world = _survey(client, facts)
        if world.old is None:
            return
        if world.new is None and world.old.name != facts["name"]:
            _bring_back(client, world.old, facts)
            return
        new = world.new or _make(client, world.old, facts)
        for network, endpoint in further_networks(world.old, new).items():
            client.network_connect(network, new.id, endpoint)
            failpoint("recreate.after-connect")
        _swap(client, world.old, new, facts)
        try:
            client.start(new.id, timeout=ANSWER_SECONDS)
        except EngineRefused:
            client.remove(new.id, volumes=False, timeout=ANSWER_SECONDS)
            failpoint("recreate.after-discard")
            _bring_back(client, world.old, facts)
            raise
        failpoint("recreate.after-start")
        client.remove(world.old.id, volumes=False, timeout=ANSWER_SECONDS)
        failpoint("recreate.after-remove")

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Look who has which name."""
        world = _survey(client, facts)
        if world.old is None:
            return _judge_new(world.new)
        if world.new is None and world.old.name == facts["name"]:
            if world.old.started_since(facts):
                return Failed("the new container did not start, so the old one runs again")
            return NeverSent()
        return _judge_stop(client, world.old, facts)


def _names(request: VerbRequest, name: str) -> Mapping[str, str]:
    """Return the passing names of the new and the old one, which follow from the request's id."""
    tag = hashlib.sha256(request.id.encode()).hexdigest()[:_TAG_DIGITS]
    return {"new_name": f"{name}-new-{tag}", "old_name": f"{name}-old-{tag}"}


def _survey(client: EngineClient, facts: Facts) -> World:
    old = look(client, facts["id"])
    new = look(client, facts["new_name"])
    if new is None:
        holder = look(client, facts["name"])
        new = holder if holder is not None and holder.id != facts["id"] else None
    return World(old, new)


def _make(client: EngineClient, old: Look, facts: Facts) -> Look:
    made = client.create(facts["new_name"], blueprint(old, image_reference(old, client.list_images())))
    failpoint("recreate.after-create")
    new = look(client, made)
    if new is None:
        raise EngineRefused(f"the new container for {old.name} was removed at once", status=404)
    return new


def _swap(client: EngineClient, old: Look, new: Look, facts: Facts) -> None:
    """Stop the old one, and give its name to the new one."""
    seconds = int(facts["stop_seconds"])
    if old.running:
        client.stop(old.id, seconds, signal=facts["signal"], timeout=seconds + ANSWER_SECONDS)
        failpoint("recreate.after-stop")
    if old.name == facts["name"]:
        client.rename(old.id, facts["old_name"])
        failpoint("recreate.after-rename-old")
    if new.name != facts["name"]:
        client.rename(new.id, facts["name"])
        failpoint("recreate.after-rename-new")


def _bring_back(client: EngineClient, old: Look, facts: Facts) -> None:
    """Give the old one its name again, and start it if it ran."""
    client.rename(old.id, facts["name"])
    failpoint("recreate.after-rename-back")
    if facts["running"]:
        client.start(old.id, timeout=ANSWER_SECONDS)
        failpoint("recreate.after-start-back")


def _judge_new(new: Look | None) -> Observation:
    if new is None:
        return Failed("the container is gone, and nobody has made it again")
    return Done({"id": new.id, "started_at": new.started_at, "status": new.status})


def _judge_stop(client: EngineClient, old: Look, facts: Facts) -> Observation:
    """Tell whether the stop of the old one, the only step that lasts, is under way."""
    if old.running:
        evidence = gather(client, facts)
        begun = evidence.stop_begun(facts)
        if begun is not None and not evidence.is_overdue(begun.time_ns, facts):
            return InProgress()
    return Unfinished()
