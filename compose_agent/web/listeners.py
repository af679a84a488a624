"""The listeners of one role, which a new configuration may change while they serve."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import WSGIApplication

from compose_agent.address import Address
from compose_agent.errors import ListenError
from compose_agent.web.server import WebServer
from compose_agent.web.webfile import WebConfigFile


class Listeners:
    """One application on several addresses.

    ``bind`` → ``start`` → ``change`` as often as wanted → ``stop``. Not for several threads at once.
    """

    def __init__(self, app: WSGIApplication, web: WebConfigFile | None = None) -> None:
        self._app = app
        self._web = web
        self._servers: dict[Address, WebServer] = {}

    def bind(self, addresses: Iterable[Address]) -> None:
        """Bind every address; ListenError if one cannot be, and then none is."""
        try:
            for address in addresses:
                self._servers[address] = self._bound(address)
        except ListenError:
            self.stop()
            raise

    def start(self) -> None:
        """Serve on what is bound."""
        for server in self._servers.values():
            server.start()

    def change(self, addresses: Iterable[Address]) -> None:
        """Serve on exactly these addresses; ListenError if one cannot be, and then nothing changes.

        What is new is bound before what is old is closed, so that no request is lost; only an address whose
        port an old one holds (``127.0.0.1:9417`` after ``:9417``) waits for that one to close.
        """
        wanted = dict.fromkeys(addresses)
        before = self._servers
        removed = [address for address in before if address not in wanted]
        added: dict[Address, WebServer] = {}
        closed: list[Address] = []
        try:
            for address in wanted:
                if address not in before:
                    added[address] = self._bound_in_place_of(address, removed, closed)
        except ListenError:
            self._take_back(added, closed)
            raise
        for server in added.values():
            server.start()
        self._servers = {address: added.get(address) or before[address] for address in wanted}
        for address in removed:
            if address not in closed:
                before[address].stop()

    def stop(self) -> None:
        """Close every listener."""
        servers, self._servers = self._servers, {}
        for server in servers.values():
            server.stop()

    def urls(self) -> tuple[str, ...]:
        """Return the URL of each listener, in the order of the configuration."""
        return tuple(server.url for server in self._servers.values())

    def _bound(self, address: Address) -> WebServer:
        server = WebServer(address, self._app, web=self._web)
        server.bind()
        return server

    def _bound_in_place_of(
        self, address: Address, removed: list[Address], closed: list[Address]
    ) -> WebServer:
        """Bind an address; if that fails, once more without the removed ones on the same port."""
        try:
            return self._bound(address)
        except ListenError:
            in_the_way = [old for old in removed if old.port == address.port and old not in closed]
            if not in_the_way:
                raise
            for old in in_the_way:
                self._servers[old].stop()
                closed.append(old)
            return self._bound(address)

    def _take_back(self, added: dict[Address, WebServer], closed: list[Address]) -> None:
        for server in added.values():
            server.stop()
        for address in closed:
            self._servers[address] = self._bound(address)
            self._servers[address].start()
