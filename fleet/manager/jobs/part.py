"""Jobs as a part of the manager's role."""

from __future__ import annotations

from fleet.database import Database
from fleet.manager.commands.part import Commands
from fleet.manager.jobs.api import JobsApi
from fleet.manager.jobs.driver import Driver
from fleet.manager.jobs.store import JobStore
from fleet.manager.registry import Registry


class JobsPart:
    """Store, driver and API; to be started behind the commands, and stopped before them."""

    def __init__(self, database: Database, commands: Commands, registry: Registry) -> None:
        store = JobStore(database)
        self.driver = Driver(store, commands, registry)
        self.api = JobsApi(registry, store, self.driver, commands.clock)

    @property
    def error(self) -> str:
        """Why jobs do not go on, empty when they do."""
        return self.driver.error
