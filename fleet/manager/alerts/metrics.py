"""What the manager tells of alerts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from fleet.manager.alerts.store import Fate


class AlertMetrics:
    """Counts alerts by what became of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._alerts = Counter(
            "fleet_alerts_total",
            "Alerts of Alertmanager by what became of them; each one that was taken is waiting first.",
            ["state"],
            registry=registry,
        )
        for fate in Fate:
            self._alerts.labels(fate.value)

    def count(self, fate: Fate, number: int) -> None:
        """Count alerts."""
        self._alerts.labels(fate.value).inc(number)
