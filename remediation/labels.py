"""The labels of containers that remediation reads, in one registry."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.config import Option, kinds
from compose_agent.config.kinds import Detail, Kind
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.dockerd.verbs.optin import ACTIONS, words
from compose_agent.labels import NAMED, read_labels
from remediation.arguments import MOST_REPLICAS, name

_LARGEST_PORT = 65535
_MOST_FAILURES = 1000

_port = kinds.whole_number(1, _LARGEST_PORT)
_replicas = kinds.whole_number(1, MOST_REPLICAS)


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A path that a container is to answer on a port with 200 to 399."""

    port: int
    path: str


def _http_probe(text: str) -> HttpProbe:
    port, slash, rest = text.removeprefix(":").partition("/")
    path = f"/{rest}"
    if not slash or not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError(text)
    return HttpProbe(_port.parse(port), path)


def _allowed(text: str) -> frozenset[str]:
    allowed, unknown = words(text)
    if unknown:
        raise Detail(f"'{unknown[0]}' allows nothing{did_you_mean(nearest(unknown[0], ACTIONS))}")
    return allowed


def _command(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise Detail(f"'{text}' is no command: {str(error).lower()}") from error
    if not words or not words[0]:
        raise ValueError(text)
    return words


command = Kind("command", "a command, in words as a shell would split them", _command)

LABELS: tuple[Option, ...] = (
    Option(
        "remediate",
        Kind("words", "restart, scale, both with a comma, true or false", _allowed),
        None,
        "What may be done to the container: `restart` is all that is done to single containers, `scale` is "
        "to change how many its service has. `true` is `restart`. Without this label nothing is done.",
    ),
    Option("scale.min", _replicas, None, "The fewest replicas that the service may be given."),
    Option("scale.max", _replicas, None, "The most replicas that the service may be given."),
    Option(
        "failover.group", name, None, "The group of services or replicas that take over from one another."
    ),
    Option("failover.role", kinds.choice("primary", "standby"), None, "What the service is in its group."),
    Option(
        "failover.mode",
        kinds.choice("active-passive", "active-active"),
        "active-passive",
        "Whether one of the group runs and another waits, or all run and those that are ill are left out.",
    ),
    Option(
        "probe.http",
        Kind("probe", "a port and a path such as 8080/healthz", _http_probe),
        None,
        "Ask the container over HTTP; 200 to 399 is well.",
    ),
    Option("probe.tcp", _port, None, "Open a connection to this port of the container."),
    Option(
        "probe.exec", command, None, "Run this in the container; exit status 0 is well. There is no shell."
    ),
    Option(
        "probe.initial-delay", kinds.duration, "30s", "How long after its start the container is first asked."
    ),
    Option("probe.period", kinds.positive_duration, "10s", "How often it is asked."),
    Option("probe.timeout", kinds.positive_duration, "1s", "How long it may take to answer."),
    Option(
        "probe.failure-threshold",
        kinds.whole_number(1, _MOST_FAILURES),
        "3",
        "How often in a row it has to fail to count as ill.",
    ),
    Option(
        f"exec{NAMED}",
        command,
        None,
        "What the action `exec` with this NAME runs in the container. There is no shell.",
    ),
)


def labels_of(labels: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a container's labels say to remediation, and what is wrong with them, by key."""
    return read_labels(labels, LABELS)
