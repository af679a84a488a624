"""The labels of containers that remediation reads, in one registry."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from compose_agent.config import Option
from compose_agent.config.kinds import Detail, Kind
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.dockerd.verbs.optin import ACTIONS, words
from compose_agent.labels import NAMED, read_labels
from remediation.failover import groups
from remediation.triggers.probes import spec
from remediation.triggers.scaler import rules as scaler


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
    *scaler.OPTIONS,
    *groups.OPTIONS,
    *spec.OPTIONS,
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
