"""``compose-agent thaw``: remediation goes on after ``freeze``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compose_agent.commands.remediation_options import telling
from compose_agent.commands.remediation_source import RemediationSource


def _thaw(source: RemediationSource, given: Mapping[str, Any]) -> str:
    source.tell("/v1/thaw", given["why"])
    return "remediation goes on"


command = telling("thaw", "Let remediation go on after a freeze.", _thaw)
