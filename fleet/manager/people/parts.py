"""Everything about people, put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compose_agent.web.formguard import FormGuard
from compose_agent.web.page import Pages
from compose_agent.web.response import RouteTable
from compose_agent.web.webfile import WebConfigFile
from fleet.database import Database
from fleet.manager import page
from fleet.manager.people.api import PeopleApi
from fleet.manager.people.audit import Audit, Auditor
from fleet.manager.people.directory import Directory
from fleet.manager.people.gate import Gate, Way
from fleet.manager.people.limits import Failures
from fleet.manager.people.login import LoginPage
from fleet.manager.people.sessions import Sessions
from fleet.manager.people.store import PeopleStore
from fleet.manager.people.ways import Cookie, Passwords, Proxy, Tokens
from fleet.manager.settings import ManagerSettings


class People:
    """``gate`` lets in who is known, ``auditor`` writes down what they change, ``forms`` guards pages.

    Raises StateError when what is on disk cannot be read.
    """

    def __init__(
        self, database: Database, settings: ManagerSettings, web: Callable[[], WebConfigFile | None]
    ) -> None:
        self.directory = directory = Directory(PeopleStore(database))
        self.audit = Audit(database)
        self.auditor = Auditor(self.audit)
        self.forms = FormGuard()
        sessions = Sessions()
        passwords = Passwords(directory, web, Failures())
        ways: list[Way] = [Tokens(directory), Cookie(sessions, passwords.principal), passwords]
        if settings.proxy_header and settings.proxy_addresses:
            ways.append(Proxy(directory, settings.proxy_header, settings.proxy_addresses))
        self.gate = Gate(ways, self.forms, settings.request_rate)
        self.api = PeopleApi(directory, sessions, self.audit)
        pages = Pages(Path(page.__file__).parent)
        self._login = LoginPage(pages, passwords, sessions, self.forms)

    def close(self) -> None:
        """Write what is left."""
        self.auditor.close()
        self.directory.close()

    def routes(self) -> RouteTable:
        """Return the routes of the pages."""
        return self._login.routes()
