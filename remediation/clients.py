"""The programs beside this one that the settings name, each with its credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_agent.errors import ConfigError, Problem
from remediation.alertmanager import Alertmanager
from remediation.grafana import Grafana
from remediation.httpapi import HeaderFile, no_credentials
from remediation.prometheus import Prometheus
from remediation.settings import RemediationSettings

Credentials = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Clients:
    """Who can be asked and told; None for those that the settings do not name."""

    alertmanager: Alertmanager | None = None
    prometheus: Prometheus | None = None
    grafana: Grafana | None = None


def clients_of(settings: RemediationSettings) -> Clients:
    """Return the clients, connected to nobody yet; ConfigError for credentials that cannot be read."""
    alertmanager, prometheus, grafana = (
        settings.alertmanager_url,
        settings.prometheus_url,
        settings.grafana_url,
    )
    # All of them are looked at first, so that a file without its address is found as well.
    alertmanager_key = _credentials("alertmanager", alertmanager, settings.alertmanager_credentials_file)
    prometheus_key = _credentials("prometheus", prometheus, settings.prometheus_credentials_file)
    grafana_key = _credentials("grafana", grafana, settings.grafana_credentials_file)
    return Clients(
        Alertmanager(alertmanager, credentials=alertmanager_key) if alertmanager else None,
        Prometheus(prometheus, credentials=prometheus_key) if prometheus else None,
        Grafana(grafana, credentials=grafana_key) if grafana else None,
    )


def _credentials(who: str, url: str | None, file: Path | None) -> Credentials:
    if file is None:
        return no_credentials
    if url is None:
        what = f"has a meaning with remediation.{who}.url only"
        raise ConfigError(Problem(f"remediation.{who}.credentials-file", what))
    return HeaderFile(file)
