"""The ways to prove who one is: a token, a password, a session, or the word of a proxy in front."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from wsgiref.types import WSGIEnvironment

from compose_agent.web.auth import Authenticator
from compose_agent.web.webfile import WebConfigFile
from fleet.manager.people.directory import Directory
from fleet.manager.people.gate import PEER
from fleet.manager.people.limits import Failures
from fleet.manager.people.model import Kind
from fleet.manager.people.sessions import Sessions
from fleet.manager.principal import Principal, Role
from fleet.manager.settings import Network

_BEARER = "bearer "


class Tokens:
    """``Authorization: Bearer`` with a token of this manager."""

    ambient = False
    needs_token = False

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def find(self, environ: WSGIEnvironment) -> Principal | None:
        """Return who a token stands for."""
        given = str(environ.get("HTTP_AUTHORIZATION", ""))
        if given[: len(_BEARER)].lower() != _BEARER:
            return None
        token = self._directory.valid(given[len(_BEARER) :].strip(), Kind.API)
        # A colon is in nobody's name: a token is not taken for the person of its name.
        return token.scope.principal(f"token:{token.name}") if token else None

    def holds(self) -> bool:
        """Tell whether there are tokens of this kind."""
        return any(token.kind is Kind.API for token in self._directory.tokens())


class Passwords:
    """Basic authentication: people of this manager, and users of the web configuration file.

    The latter may look, and see every environment; ``web`` returns the file in force. Who has failed too
    often is asked to wait, by Busy, without a look at the password.
    """

    ambient = True  # browsers keep a password and send it with each request
    needs_token = False

    def __init__(
        self, directory: Directory, web: Callable[[], WebConfigFile | None], failures: Failures
    ) -> None:
        self._directory = directory
        self._web = web
        self._failures = failures
        self._authenticator = Authenticator()

    def find(self, environ: WSGIEnvironment) -> Principal | None:
        """Return who a name and a password in the header prove; raises Busy."""
        header = str(environ.get("HTTP_AUTHORIZATION", ""))
        if header[:6].lower() != "basic ":
            return None
        hashes = self._hashes()
        if not hashes:  # where nobody has a password, none is a wrong one
            return None
        address = str(environ.get("REMOTE_ADDR", ""))
        self._failures.require_patience(address)
        name = self._authenticator.user(hashes, header)
        if name is None:
            self._failures.note(address)
            return None
        return self.principal(name)

    def principal(self, name: str) -> Principal | None:
        """Return who somebody is now, None if they are not known any more."""
        if person := self._directory.person(name):
            return person.scope.principal(name)
        return Principal(name, Role.VIEWER) if name in self._hashes() else None

    def check(self, name: str, password: str, environ: WSGIEnvironment) -> Principal | None:
        """Return who a form's name and password prove; raises Busy."""
        pair = base64.b64encode(f"{name}:{password}".encode("utf-8", "surrogateescape")).decode()
        return self.find({**environ, "HTTP_AUTHORIZATION": f"Basic {pair}"})

    def holds(self) -> bool:
        """Tell whether somebody has a password."""
        return bool(self._hashes())

    def _hashes(self) -> Mapping[str, bytes]:
        web = self._web()
        users = dict(web.current().config.users) if web else {}
        return users | {one.name: one.password for one in self._directory.people() if one.password}


class Cookie:
    """The session of a person who has logged in on the page; ``principal`` returns who they are now."""

    ambient = True
    needs_token = True

    def __init__(self, sessions: Sessions, principal: Callable[[str], Principal | None]) -> None:
        self._sessions = sessions
        self._principal = principal

    def find(self, environ: WSGIEnvironment) -> Principal | None:
        """Return whose session a request belongs to, with what they may do now."""
        name = self._sessions.name(environ)
        return self._principal(name) if name else None

    def holds(self) -> bool:
        """Return False: a session is of somebody who is known in another way."""
        return False


class Proxy:
    """A header in which a proxy at one of ``networks`` names who has logged in there (OIDC and the like).

    Only people of this manager count, and what they may do stands here: a proxy vouches for names alone.
    """

    ambient = True
    needs_token = False

    def __init__(self, directory: Directory, header: str, networks: Sequence[Network]) -> None:
        self._directory = directory
        self._key = "HTTP_" + header.upper().replace("-", "_")
        self._networks = networks

    def find(self, environ: WSGIEnvironment) -> Principal | None:
        """Return whom the proxy names."""
        name = str(environ.get(self._key, ""))
        if not name or not self._trusts(str(environ.get(PEER, ""))):
            return None
        person = self._directory.person(name)
        return person.scope.principal(name) if person else None

    def holds(self) -> bool:
        """Tell whether a proxy is trusted: then who comes without a name is nobody."""
        return bool(self._networks)

    def _trusts(self, address: str) -> bool:
        try:
            given = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(given in network for network in self._networks)
