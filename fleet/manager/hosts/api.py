"""``/api/v1/nodes/NODE/containers`` and ``/actions``: what a host has last told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from wsgiref.types import WSGIEnvironment

from compose_agent.web.compression import compressed
from compose_agent.web.response import Response
from fleet.envelopes.host import ActionLine, ContainerLine
from fleet.manager.api import NODES, not_one
from fleet.manager.hosts.book import Book
from fleet.manager.openapi import Operation
from fleet.manager.openapi.answers import answered
from fleet.manager.principal import principal_of
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight

_REFUSES = {404: "There is no such node.", 409: "Several agents have this node id."}


class HostsApi:
    """Answers from ``book``."""

    def __init__(self, registry: Registry, book: Book) -> None:
        self._registry = registry
        self._book = book

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return [
            self._operation("containers", "Containers of a node", list[ContainerLine], self._book.containers),
            self._operation(
                "actions", "Last actions of a node, newest first", list[ActionLine], self._book.actions
            ),
        ]

    def _operation(
        self, name: str, summary: str, gives: Any, read: Callable[[bytes], Sequence[object]]
    ) -> Operation:
        def answer(environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
            found = Sight(self._registry, principal_of(environ)).find(names["node"])
            if len(found) != 1:
                return not_one(names["node"], found)
            return compressed(answered(200, read(found[0].uid)), environ)

        path = f"{NODES}/{{node}}/{name}"
        return Operation(
            method="GET", path=path, summary=summary, answer=answer, gives=gives, refuses=_REFUSES
        )
