"""What an overview is made of in tests: policies and limits in force, and a role that is well."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remediation.active import Active
from remediation.guard.case import Limits
from remediation.journal import Journal
from remediation.overview import Health, Observer
from remediation.policies.load import Policies
from remediation.policies.model import Policy, Rate
from tests.remediation.samples import policy

LIMITS = Limits(host=Rate(20, 600.0), everything=Rate(40, 600.0), freeze_after=Rate(60, 600.0))


def active_of(*policies: Policy, limits: Limits = LIMITS) -> Active:
    """Return policies in force, without any a policy ``mend``."""
    return Active(Policies(Path("policies.yml"), "1", policies or (policy("mend"),)), limits)


def health_of(now: float, **other: Any) -> Health:
    """Return what a role says that is well."""
    values: dict[str, Any] = {"host": "box", "reasons": (), "engine": "", "outside": "", "heartbeat_at": now}
    return Health(**(values | other))


def observer_of(
    journal: Journal, active: Active | None = None, now: Callable[[], float] = time.time, **health: Any
) -> Observer:
    """Return an observer of a role that is well, but for what ``health`` says."""
    return Observer(journal, active or active_of(), lambda: health_of(now(), **health), now)
