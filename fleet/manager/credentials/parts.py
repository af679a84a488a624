"""Everything about agents' credentials, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from wsgiref.types import WSGIEnvironment

from compose_agent.errors import ConfigError, Problem, StateError
from compose_agent.web.response import Response
from fleet.database import Database
from fleet.manager.admission import Admission, Everybody, FirstOf, JoinTokens, TokenFile
from fleet.manager.api import NODES, not_one
from fleet.manager.credentials.doorman import Doorman
from fleet.manager.credentials.keeper import Credentials, Signer
from fleet.manager.credentials.store import CredentialStore
from fleet.manager.openapi import Operation
from fleet.manager.openapi.answers import answered, problem
from fleet.manager.people.audit import tell
from fleet.manager.people.directory import Directory
from fleet.manager.principal import Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.settings import ManagerSettings
from fleet.manager.sight import Sight
from fleet.opamp.uid import uid_text

_REVOKED = "the manager has revoked the credential of this agent"


@dataclass(frozen=True, slots=True)
class Revoked:
    """How many credentials of a node were ended."""

    uid: str
    revoked: int


class AgentAccess:
    """``admission`` decides about connections, ``doorman`` about messages.

    Raises StateError, and ConfigError for an authority that cannot sign.
    """

    def __init__(
        self, database: Database, settings: ManagerSettings, directory: Directory, registry: Registry
    ) -> None:
        self._registry = registry
        store = CredentialStore(database)
        self._credentials = Credentials(store, signer_of(settings), settings.credential_lifetime)
        self.doorman = Doorman(store, self._credentials, directory.spend)
        self.admission: Admission = Everybody()
        if not settings.insecure:
            known: list[Admission] = [self._credentials, JoinTokens(directory)]
            if settings.token_file:
                known.append(TokenFile(settings.token_file))
            self.admission = FirstOf(known)

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return [
            Operation(
                method="POST",
                path=f"{NODES}/{{node}}/revoke",
                summary="End a node's credential and its connection; to come back its agent has to join anew",
                answer=self._revoke,
                gives=Revoked,
                refuses={404: "There is no such node.", 409: "Several agents have this node id."},
                needs=Role.ADMIN,
            )
        ]

    def close(self) -> None:
        """Write what is left."""
        self._credentials.close()
        self.doorman.close()

    def _revoke(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        found = Sight(self._registry, principal_of(environ)).find(names["node"])
        if len(found) != 1:
            return not_one(names["node"], found)
        node = found[0]
        tell(environ, node.environment, node=uid_text(node.uid))
        try:
            count = self._credentials.revoke(node.uid)
        except StateError as error:
            return problem(503, f"it is revoked until the manager ends, and not on disk: {error}")
        if (peer := node.peer) and peer.end:
            peer.end(_REVOKED)
        return answered(200, Revoked(uid_text(node.uid), count))


def signer_of(settings: ManagerSettings) -> Signer | None:
    """Return the authority that signs agents' certificates, None for none; raises ConfigError."""
    if settings.ca_file is None or settings.ca_key_file is None:
        return None
    from fleet.pki import Authority, Pair  # noqa: PLC0415 - only a manager that signs carries it

    try:
        return Authority(Pair(_read(settings.ca_file), _read(settings.ca_key_file)))
    except ValueError as error:
        what = f"is not the key of {settings.ca_file}, or one of them is no PEM: {error}"
        raise ConfigError(Problem(str(settings.ca_key_file), what)) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
