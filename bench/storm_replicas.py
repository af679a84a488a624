"""A storm over services of a few replicas: nobody may take the last healthy one of a service away.

In each service one replica is unhealthy, and every replica is to be restarted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.chain import UNHINDERED, UNLIMITED, Remediation
from bench.engine_events import EngineEvents
from bench.patients import wait_until
from bench.redelivery import Alert, notification
from bench.restarts import Event, cycles_of
from compose_agent.dockerd.fake import Behaviour, FakeEngine

SERVICES = 100
REPLICAS = 3
_HEALTHY, _UNHEALTHY = "health_status: healthy", "health_status: unhealthy"
# A new process is healthy after so long: until then it is none that its service could do with alone.
_HEALTH_TAKES_SECONDS = 0.5
_PATIENCE_SECONDS = 300.0


def last_ones(events: Iterable[Event], healthy: Iterable[str]) -> list[str]:
    """Return the containers that were healthy, and the last of their service, when they were stopped.

    ``healthy`` are the names of those that were so at first; the name of a container ends with its number.
    """
    well: dict[str, set[str]] = defaultdict(set)
    for name in healthy:
        well[_service(name)].add(name)
    found = []
    for event in sorted(events, key=lambda each: each.at):
        others = well[_service(event.container)]
        if event.action == _HEALTHY:
            others.add(event.container)
            continue
        if event.action == "kill" and others == {event.container}:
            found.append(event.container)
        others.discard(event.container)
    return found


def replicas(send: Callable[[Remediation, list[bytes]], object]) -> dict[str, Any]:
    """Ask for a restart of every replica; ``send`` posts requests to the role."""
    with FakeEngine() as engine:
        names = [f"s{at}-{number}" for at in range(SERVICES) for number in range(1, REPLICAS + 1)]
        for name in names:
            _admit(engine, name)
        events = EngineEvents(engine.url, ("kill", "die", "start", "health_status"))
        with Remediation(engine.url, policies(), UNLIMITED) as remediation:
            remediation.wait_ready()
            send(remediation, [_body(names[at : at + REPLICAS]) for at in range(0, len(names), REPLICAS)])
            wait_until(
                lambda: len(cycles_of(events.all())) == len(names), "not all restarted", _PATIENCE_SECONDS
            )
        events.close()
        taken = last_ones(events.all(), [name for name in names if not _is_ill(name)])
        return {
            "services": SERVICES,
            "replicas": REPLICAS,
            "restarts": sum(map(len, cycles_of(events.all()).values())),
            "last_healthy_taken": len(taken),
            "good": not taken,
        }


def policies() -> Mapping[str, Any]:
    """Return one policy that restarts whatever it is told, without a budget; two of three at once."""
    return {
        "replicas": {
            "match": 'alertname="Replicas"',
            "target": {"kind": "container", "allow": ["s*"]},
            "action": "restart",
            "limits": {**UNHINDERED, "replicas-share": "70%"},
            "verify": "none",
        }
    }


def _admit(engine: FakeEngine, name: str) -> None:
    labels = {
        "com.docker.compose.project": "storm",
        "com.docker.compose.service": _service(name),
        "com.docker.compose.container-number": name.rpartition("-")[2],
        "com.docker.compose.oneoff": "False",
    }
    behaviour = Behaviour(health="healthy", health_takes=_HEALTH_TAKES_SECONDS, stop_takes=0.1)
    engine.add_container(name, labels=labels, behaviour=behaviour)
    engine.set_health(name, "unhealthy" if _is_ill(name) else "healthy")


def _body(names: list[str]) -> bytes:
    alerts = [Alert((("alertname", "Replicas"), ("name", name)), time.time()) for name in names]
    return notification(names[0], alerts, 0)


def _service(name: str) -> str:
    return name.rpartition("-")[0]


def _is_ill(name: str) -> bool:
    return name.endswith("-1")
