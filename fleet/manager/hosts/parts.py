"""Everything about agents' hosts: what they tell, and what is scraped over their links."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fleet.database import Database
from fleet.envelopes import host, relay
from fleet.manager.custom import Custom
from fleet.manager.hosts.api import HostsApi
from fleet.manager.hosts.book import Book
from fleet.manager.hosts.store import HostStore
from fleet.manager.openapi import Operation
from fleet.manager.registry import Registry
from fleet.manager.relay import Relay, RelayApi


class Hosts:
    """``changed`` is called when pages have something new to show."""

    def __init__(
        self, registry: Registry, database: Database, custom: Custom, changed: Callable[[], None]
    ) -> None:
        self.book = Book(registry, HostStore(database), changed)
        custom.register(host.CAPABILITY, self.book)
        scrapes = Relay(custom.send)
        custom.register(relay.CAPABILITY, scrapes)
        self._parts = (HostsApi(registry, self.book), RelayApi(registry, scrapes))

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return [each for part in self._parts for each in part.operations()]

    def start(self) -> None:
        """Take up what is on disk. Raises StateError."""
        self.book.start()

    def stop(self) -> None:
        """Write what there is, and end."""
        self.book.stop()
