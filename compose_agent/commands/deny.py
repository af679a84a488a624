"""``compose-agent deny``: an action that waits for a person is not done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compose_agent.commands.remediation_options import ID, telling
from compose_agent.commands.remediation_source import RemediationSource
from compose_agent.dockerd.overview.words import printable


def _deny(source: RemediationSource, given: Mapping[str, Any]) -> str:
    intent = source.tell("/v1/deny", given["why"], id=given["id"])
    return printable(
        f"denied: {intent['action']} of {intent['target']['name']}, by policy {intent['policy']}"
    )


command = telling("deny", "Have an action not done whose policy wants a person's approval.", _deny, ID)
