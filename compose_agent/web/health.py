"""The two questions that every listener answers: is the process alive, and is it ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from compose_agent.web.response import Response, routed

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from compose_agent.web.response import RouteTable

HEALTHY_PATH = "/-/healthy"
READY_PATH = "/-/ready"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a role says of itself; it is ready when there is no reason why not.

    ``revision`` is that of the configuration applied, ``listeners`` are addresses as people write them.
    """

    role: str
    version: str
    revision: int
    listeners: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Tell whether the role does its work."""
        return not self.reasons


Probe = Callable[[], Readiness]


def healthy() -> Response:
    """Answer 200: a process that answers is alive."""
    return Response.text(200, "OK")


def ready(state: Readiness) -> Response:
    """Answer 200 when the role is ready, otherwise 503 with the reasons."""
    return Response.json(200 if state.ready else 503, {"ready": state.ready, **asdict(state)})


def routes(probe: Probe) -> RouteTable:
    """Return the routes of both questions; ``probe`` is asked at every request and must be quick."""
    return {
        HEALTHY_PATH: {"GET": lambda _environ: healthy()},
        READY_PATH: {"GET": lambda _environ: ready(probe())},
    }


def with_health(app: WSGIApplication, probe: Probe) -> WSGIApplication:
    """Return ``app`` with both questions answered in front of it."""
    return routed(routes(probe), app)
