"""Finds the operation that a request is for, and lets through what it may be given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.typed import convert
from compose_agent.web.response import Handler, Response
from fleet.manager.openapi.answers import problem
from fleet.manager.openapi.operation import Operation, Parameter
from fleet.manager.principal import principal_of

_NAME = re.compile(r"\{(\w+)\}")


class Table:
    """Routes of ``operations``. A path that several match goes to the first."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = tuple(operations)
        self._paths: dict[str, dict[str, Operation]] = {}
        for each in self.operations:
            self._paths.setdefault(each.path, {})[each.method] = each
        self._patterns = [(_pattern(path), methods) for path, methods in self._paths.items()]

    def route(self, path: str) -> dict[str, Handler] | None:
        """Return the methods of a path, None for one that is none of the API's."""
        for pattern, methods in self._patterns:
            if found := pattern.fullmatch(path):
                names = {name: unquote(text) for name, text in found.groupdict().items()}
                return {method: _handler(each, names) for method, each in methods.items()}
        return None


def _pattern(path: str) -> re.Pattern[str]:
    # What is between the names, literally; a name is one step of a path.
    parts = _NAME.split(path)
    return re.compile(
        "".join(f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    )


def _handler(operation: Operation, names: Mapping[str, str]) -> Handler:
    def handle(environ: WSGIEnvironment) -> Response:
        if not principal_of(environ).may(operation.needs):
            return problem(403, f"this needs the role {operation.needs.name.lower()}")
        if error := _wrong(operation.parameters, str(environ.get("QUERY_STRING", ""))):
            return problem(400, error)
        return operation.answer(environ, names)

    return handle


def _wrong(parameters: Iterable[Parameter], query: str) -> str:
    """Return what is wrong with a query, empty if nothing is."""
    known = {each.name: each for each in parameters}
    for name, text in parse_qsl(query, keep_blank_values=True, errors="replace"):
        if name not in known:
            rest = (
                f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
                if known
                else "there are none"
            )
            return f"{name}: no such parameter; {rest}"
        try:
            convert(text, known[name].type, strict=False)
        except msgspec.ValidationError as error:
            return f"{name}: {str(error)[:1].lower()}{str(error)[1:]}"
    return ""
