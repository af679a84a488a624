"""What the manager sets on agents, put together."""

from __future__ import annotations

from collections.abc import Callable

from fleet.database import Database
from fleet.manager.configs.api import ConfigsApi
from fleet.manager.configs.layers import Layers
from fleet.manager.configs.metrics import RolloutMetrics
from fleet.manager.configs.office import Office
from fleet.manager.configs.rollouts import Rollouts
from fleet.manager.configs.store import ConfigStore
from fleet.manager.configs.view import ConfigsView
from fleet.manager.registry import Registry


class Configs:
    """Layers, office, roll-outs, their view and API; ``changed`` is called whenever one of them has changed.

    The constructor raises StateError.
    """

    def __init__(
        self, registry: Registry, database: Database, metrics: RolloutMetrics, changed: Callable[[], None]
    ) -> None:
        self._layers = Layers()
        store = ConfigStore(database)
        self.office = Office(registry, self._layers)
        self._rollouts = Rollouts(
            registry, self._layers, self.office, store, changed=changed, ended=metrics.ended
        )
        metrics.watch(self._rollouts.all)
        self.view = ConfigsView(registry, self._layers, self.office, self._rollouts, store)
        self.api = ConfigsApi(registry, self.view, self._rollouts)

    def restore(self) -> None:
        """Take up what there was; after the nodes."""
        self._rollouts.restore()

    def start(self) -> None:
        """Begin to step through roll-outs."""
        self._rollouts.start()

    def stop(self) -> None:
        """Write what was heard, and end."""
        self._rollouts.stop()

    def error(self) -> str:
        """Return why roll-outs stand still, empty while they do not."""
        return self._rollouts.error
