"""Commands over the API: ``/api/v1/commands`` and ``/api/v1/commands/ID``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from msgspec import Meta

from compose_agent.web.compression import compressed
from compose_agent.web.response import Response, body_of
from fleet.envelopes.command import Stage
from fleet.manager.commands.asked import Asked, Given, NoNode, nodes_of, read_order
from fleet.manager.commands.dispatcher import Dispatcher
from fleet.manager.commands.issuer import Issuer
from fleet.manager.commands.model import Issued, Row
from fleet.manager.commands.store import CommandStore, Wanted
from fleet.manager.model import Node
from fleet.manager.openapi import Operation, Parameter
from fleet.manager.openapi.answers import answered, explained, problem
from fleet.manager.people.audit import tell
from fleet.manager.principal import Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight

COMMANDS = "/api/v1/commands"
_LIMIT, _MOST = 100, 1000
# Nodes that an entry of the audit names; commands for more are found by what is asked for.
_NAMED = 20
_SELECTION = (
    Parameter("node", "Only those for this node id"),
    Parameter("job", "Only those of this job"),
    Parameter("verb", "Only those with this verb"),
    Parameter("stage", "Only those at this stage", Stage),
    Parameter("before", "Only those that were made before the one with this id"),
    Parameter("limit", "How many at most", Annotated[int, Meta(ge=1, le=_MOST)]),
)


class CommandsApi:
    """Takes commands from those who may give them, and tells of those for nodes that somebody sees."""

    def __init__(
        self, registry: Registry, store: CommandStore, dispatcher: Dispatcher, issuer: Issuer
    ) -> None:
        self._registry = registry
        self._store = store
        self._dispatcher = dispatcher
        self._issuer = issuer

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return [
            Operation(
                method="POST",
                path=COMMANDS,
                summary="Give a command to nodes; the answer has one for each of them",
                answer=explained(self._give, {NoNode: 404}),
                status=202,
                takes=Asked,
                gives=Given,
                refuses={404: "There is no such node, or the selector means none."},
                needs=Role.OPERATOR,
            ),
            Operation(
                method="GET",
                path=COMMANDS,
                summary="Commands, the newest first, without what came of them",
                answer=explained(self._list),
                gives=Given,
                parameters=_SELECTION,
            ),
            Operation(
                method="GET",
                path=f"{COMMANDS}/{{id}}",
                summary="One command, with what came of it",
                answer=explained(self._one),
                gives=Row,
                refuses={404: "There is no such command."},
            ),
        ]

    def _give(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        issued = self.give(read_order(Asked, body_of(environ)), environ)
        return compressed(answered(202, Given([each.row() for each in issued])), environ)

    def _list(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        principal = principal_of(environ)
        found = self._store.find(wanted_of(str(environ.get("QUERY_STRING", "")), principal.environments))
        return compressed(answered(200, Given([each.row() for each in found])), environ)

    def _one(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        found = self.find(names["id"], environ)
        if found is None:
            return problem(404, f"there is no command {names['id']}")
        return compressed(answered(200, found.row(whole=True)), environ)

    def give(self, asked: Asked, environ: WSGIEnvironment) -> list[Issued]:
        """Give commands in the name of who asks; raises NoNode and Detail for whom, StateError."""
        principal = principal_of(environ)
        nodes = nodes_of(asked.nodes, asked.selector, Sight(self._registry, principal))
        tell(environ, *{node.environment for node in nodes}, **_about(asked, nodes))
        return self._issuer.issue(asked, nodes, principal.name)

    def latest(self, wanted: Wanted) -> list[Issued]:
        """Return commands, the newest first; raises StateError."""
        return self._store.find(wanted)

    def find(self, command_id: str, environ: WSGIEnvironment) -> Issued | None:
        """Return a command that exists for who asks; raises StateError."""
        found = self._dispatcher.get(command_id) or self._store.get(command_id)
        return found if found and principal_of(environ).sees(found.environment) else None


def _about(asked: Asked, nodes: Sequence[Node]) -> dict[str, str]:
    """Return what the audit says of an order."""
    about = {"verb": asked.verb.value, "target": asked.target, "selector": asked.selector}
    named = {"nodes": ", ".join(node.node_id for node in nodes[:_NAMED])}
    return {key: value for key, value in {**about, **named}.items() if value}


def wanted_of(query: str, environments: frozenset[str] | None) -> Wanted:
    """Return which commands a query string asks for."""
    given = {key: values[-1] for key, values in parse_qs(query, errors="replace").items()}
    limit = given.get("limit", "")
    return Wanted(
        node_id=given.get("node", ""),
        job=given.get("job", ""),
        verb=given.get("verb", ""),
        stage=given.get("stage", ""),
        before=given.get("before", ""),
        environments=environments,
        limit=min(int(limit), _MOST) if limit.isascii() and limit.isdecimal() and len(limit) < 5 else _LIMIT,
    )
