"""Commands as a part of the manager's role: what is put together, started and stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fleet.database import Database
from fleet.envelopes.command import CAPABILITY
from fleet.manager.clock import SteadyClock
from fleet.manager.commands.api import CommandsApi
from fleet.manager.commands.dispatcher import Dispatcher
from fleet.manager.commands.issuer import Issuer
from fleet.manager.commands.metrics import CommandMetrics
from fleet.manager.commands.model import Issued
from fleet.manager.commands.store import CommandStore
from fleet.manager.custom import Custom
from fleet.manager.registry import Registry


class Commands:
    """Registers with ``custom``. Raises StateError when its tables cannot be had.

    Whoever wants to hear of each change of a command's stage calls ``listen`` before the start; called in the
    dispatcher's thread, they must be quick.
    """

    def __init__(
        self, database: Database, custom: Custom, registry: Registry, metrics: CommandMetrics
    ) -> None:
        self._listeners: list[Callable[[Sequence[Issued]], None]] = [metrics.changed]
        self.clock = SteadyClock()
        self.store = CommandStore(database)
        self.dispatcher = Dispatcher(self.store, custom, self.clock, self._changed)
        self.issuer = Issuer(database, self.store, self.dispatcher, self.clock)
        self.api = CommandsApi(registry, self.store, self.dispatcher, self.issuer)
        metrics.watch(self.dispatcher.count)
        custom.register(CAPABILITY, self.dispatcher)

    @property
    def error(self) -> str:
        """Why commands cannot be written, empty when they can."""
        return self.dispatcher.error

    def listen(self, listener: Callable[[Sequence[Issued]], None]) -> None:
        """Have ``listener`` told of commands whose stage has changed."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Take up what has not ended; raises StateError."""
        self.dispatcher.start()

    def stop(self) -> None:
        """End."""
        self.dispatcher.stop()

    def _changed(self, commands: Sequence[Issued]) -> None:
        for each in self._listeners:
            each(commands)
