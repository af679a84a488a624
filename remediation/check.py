"""What only this role can judge of a configuration."""

from __future__ import annotations

from remediation.policies.load import load_policies
from remediation.settings import RemediationSettings


def check(settings: RemediationSettings) -> None:
    """Raise ConfigError for policies that cannot be used."""
    load_policies(settings.policies)
