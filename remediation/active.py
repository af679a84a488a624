"""What is in force: policies and settings, replaced as a whole by a new configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remediation.commands.policies import COMMANDS
from remediation.deciding import FREEZE_BUCKET
from remediation.guard.case import Limits
from remediation.policies.load import Policies
from remediation.policies.model import Policy, Rate
from remediation.settings import RemediationSettings


@dataclass(slots=True)
class Active:
    """Policies and limits; whoever replaces one assigns it, and readers see the old or the new one."""

    policies: Policies
    limits: Limits

    @classmethod
    def of(cls, settings: RemediationSettings, policies: Policies) -> Active:
        """Return what settings and policies make."""
        return cls(policies, limits_of(settings))

    def policy(self, name: str) -> Policy | None:
        """Return a policy in force, one by which commands are carried out as well."""
        return self.policies.named(name) or COMMANDS.get(name)

    def budgets(self) -> Mapping[str, Rate]:
        """Return the budgets of all policies together, by the keys under which the journal has them."""
        limits = self.limits
        rates = {"host": limits.host, "everything": limits.everything, FREEZE_BUCKET: limits.freeze_after}
        return {key: rate for key, rate in rates.items() if rate is not None}


def limits_of(settings: RemediationSettings) -> Limits:
    """Return the limits that hold for all policies together."""
    return Limits(
        host=settings.budget_host,
        everything=settings.budget_global,
        freeze_after=settings.freeze_after,
        dry_run=settings.dry_run,
        deployment_quiet_seconds=settings.deployment_quiet,
    )
