"""What of the remediation role's configuration only the role itself can judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from compose_agent.errors import ConfigError, Problem
from compose_agent.web.webfile import WebConfigFile
from remediation.clients import clients_of
from remediation.httpapi import HeaderFile
from remediation.policies.load import Policies, load_policies
from remediation.policies.model import Policy
from remediation.receiver.doors import doors_of
from remediation.receiver.signatures import Replays
from remediation.settings import RemediationSettings


def check(settings: RemediationSettings) -> None:
    """Raise ConfigError for whatever a start would not take; opens no connection."""
    policies_for(settings)
    clients_of(settings)
    web = WebConfigFile(settings.web_config_file).current().config if settings.web_config_file else None
    doors_of(settings, web, Replays())


def policies_for(settings: RemediationSettings) -> Policies:
    """Return the policies that the settings name; ConfigError also for those that lack an option."""
    policies = load_policies(settings.policies)
    problems = [problem for policy in policies.policies for problem in _unmet(policy, policies, settings)]
    if problems:
        raise ConfigError(problems)
    return policies


def _unmet(policy: Policy, policies: Policies, settings: RemediationSettings) -> Iterator[Problem]:
    where, path = str(policies.file), f"policies.{policy.name}"
    if policy.verify and policy.verify.query and not settings.prometheus_url:
        yield Problem(where, f"{path}.verify.query needs the option remediation.prometheus.url")
    for step in policy.ladder:
        if step.arguments.get("through") == "alertmanager" and not settings.alertmanager_url:
            what = f"{step.action} through alertmanager needs the option remediation.alertmanager.url"
            yield Problem(where, f"{path}: {what}")
        if file := step.arguments.get("header-file"):
            try:
                HeaderFile(Path(file))
            except ConfigError as error:
                yield from error.problems
