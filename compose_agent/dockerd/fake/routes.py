"""Which function answers which request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.core import Core
    from compose_agent.dockerd.fake.wire import Request, Response

_PARAMETER = re.compile(r"\{\w+\}")


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way to its answer; ``reference`` is what stands for ``{id}`` in its path."""

    core: Core
    request: Request
    reference: str


Handler = Callable[[Call], "Response"]


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a pattern such as ``/containers/{id}/json``, and who answers."""

    method: str
    pattern: str
    handler: Handler

    def match(self, request: Request) -> str | None:
        """Return what stands for ``{id}`` (empty when the pattern has none), None when it does not match."""
        if request.method != self.method:
            return None
        found = re.fullmatch(_PARAMETER.sub("(.+)", self.pattern), request.path)
        if found is None:
            return None
        return found[1] if found.groups() else ""


def find(table: tuple[Route, ...], core: Core, request: Request) -> tuple[Handler, Call] | None:
    """Return the function for a request and its argument; the first row that matches wins."""
    for route in table:
        reference = route.match(request)
        if reference is not None:
            return route.handler, Call(core, request, reference)
    return None
