"""``compose-agent approve``: an action that waits for a person may begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compose_agent.commands.remediation_options import ID, telling
from compose_agent.commands.remediation_source import RemediationSource
from compose_agent.dockerd.overview.words import printable


def _approve(source: RemediationSource, given: Mapping[str, Any]) -> str:
    intent = source.tell("/v1/approve", given["why"], id=given["id"])
    return printable(
        f"approved: {intent['action']} of {intent['target']['name']}, by policy {intent['policy']}"
    )


command = telling("approve", "Let an action begin whose policy wants a person's approval.", _approve, ID)
