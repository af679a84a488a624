"""The rules of alerts/rules, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "alerts"
RULES = sorted(ALERTS.glob("rules/*.yml"))
UNIT_TESTS = sorted(ALERTS.glob("tests/*.yml"))
# Debian's stable Prometheus, which is 2.x, and the newest that a distribution has.
SUITES = (None, "forky")
# What the remediation role raises by itself.
RAISED = {"ComposeAgentGaveUp"}


def rules() -> Iterator[dict[str, Any]]:
    """Yield every rule of every file."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


FIRING = [rule for rule in rules() if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in FIRING})
