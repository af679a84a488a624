"""Everything that takes alerts and brings them to their hosts."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from fleet.database import Database
from fleet.envelopes.alert import CAPABILITY
from fleet.manager.alerts.api import AlertsApi
from fleet.manager.alerts.dispatcher import Dispatcher
from fleet.manager.alerts.metrics import AlertMetrics
from fleet.manager.alerts.routing import Owners
from fleet.manager.alerts.store import AlertStore, Fate
from fleet.manager.custom import Custom
from fleet.manager.registry import Registry


class Alerts:
    """``changed`` is called when pages have something new to show."""

    def __init__(
        self,
        registry: Registry,
        database: Database,
        custom: Custom,
        owners: Owners,
        *,
        metrics: CollectorRegistry,
        changed: Callable[[], None],
    ) -> None:
        counts = AlertMetrics(metrics)

        def counted(fate: Fate, number: int) -> None:
            counts.count(fate, number)
            changed()

        store = AlertStore(database)
        self._dispatcher = Dispatcher(store, custom.send, counted)
        custom.register(CAPABILITY, self._dispatcher)
        self.api = AlertsApi(registry, owners, store, brought=self._dispatcher.bring, counted=counted)

    def start(self) -> None:
        """Begin to bring."""
        self._dispatcher.start()

    def stop(self) -> None:
        """End; what waits is on disk."""
        self._dispatcher.stop()
