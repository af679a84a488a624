"""Containers, policies, signals and intents for tests of remediation."""

from __future__ import annotations

from typing import Any

from compose_agent.dockerd.model import Container
from compose_agent.matchers import Matcher
from remediation.model import Intent, Signal, Source, Target, TargetKind
from remediation.policies.model import Policy, Step, TargetRule

NOW = 1_750_000_000.0


def container(name: str, *, state: str = "running", health: str = "none", **more: Any) -> Container:
    """Return a container that has opted in to everything, unless its labels say otherwise."""
    labels = {"compose-agent.remediate": "restart,scale", **more.pop("labels", {})}
    defaults: dict[str, Any] = {"pid": 42 if state in ("running", "paused") else 0, "started_at": NOW - 3600}
    known = {"id": (name.encode().hex() + "0" * 64)[:64], "image": "app", "image_id": "sha256:1"}
    return Container(name=name, state=state, health=health, labels=labels, **{**known, **defaults, **more})


def replica(project: str, service: str, number: int, **more: Any) -> Container:
    """Return one container of a Compose service."""
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        **more.pop("labels", {}),
    }
    return container(f"{project}-{service}-{number}", labels=labels, **more)


def policy(name: str = "restart-unhealthy", **more: Any) -> Policy:
    """Return a policy that restarts the container an alert names."""
    chosen: dict[str, Any] = {
        "match": (Matcher("alertname", "=", "ContainerUnhealthy"),),
        "target": TargetRule(TargetKind.CONTAINER),
        "ladder": (Step("restart"),),
        **more,
    }
    return Policy(name=name, **chosen)


def signal(name: str = "web", **more: Any) -> Signal:
    """Return an alert about a container."""
    chosen: dict[str, Any] = {
        "source": Source.ALERTMANAGER,
        "name": "ContainerUnhealthy",
        "fingerprint": f"fp-{name}",
        "firing": True,
        "starts_at": NOW - 60,
        "labels": {"name": name},
        "received_at": NOW,
        **more,
    }
    return Signal(**chosen)


def intent(target: str = "web", kind: TargetKind = TargetKind.CONTAINER, **more: Any) -> Intent:
    """Return a planned restart."""
    chosen: dict[str, Any] = {
        "id": "i1",
        "episode": "e1",
        "policy": "restart-unhealthy",
        "action": "restart",
        "created_at": NOW,
        **more,
    }
    return Intent(target=Target(kind, target), **chosen)
