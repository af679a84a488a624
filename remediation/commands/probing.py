"""The probes of a container, made now because somebody asks: ``GET /v1/probe?container=NAME``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.dockerd.model import Container, container_from_inspect
from compose_agent.errors import EngineError, EngineNotFound
from compose_agent.web.response import Response
from remediation.triggers.probes.attempt import address_of, attempt
from remediation.triggers.probes.spec import ProbeSpec, specs_of

if TYPE_CHECKING:
    from compose_agent.web.response import RouteTable

PATH = "/v1/probe"
Inspect = Callable[[str], Mapping[str, Any]]


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: by probe why it failed, empty where it did not; and what the Engine says."""

    container: str
    probes: dict[str, str]
    state: str
    health: str


def probed(name: str, inspect: Inspect, *, local: bool) -> Probed:
    """Make the probes that a container's labels declare, each as long as its timeout at most.

    Raises EngineError, and ValueError for a container whose labels declare none, or wrong ones.
    """
    container = container_from_inspect(inspect(name))
    specs, problems = specs_of(container.labels)
    if problems:
        raise ValueError("; ".join(problems.values()))
    if not specs and container.health == "none":
        raise ValueError(f"{container.name} has neither probes nor a health check")
    return Probed(
        container=container.name,
        probes={str(spec): _attempt(container, spec, inspect, local=local) for spec in specs},
        state=str(container.state),
        health=str(container.health),
    )


def probe_routes(inspect: Inspect, *, local: bool) -> RouteTable:
    """Return the route for the local socket; ``local``: the Engine's networks are this host's."""

    def probe(environ: WSGIEnvironment) -> Response:
        name = parse_qs(str(environ.get("QUERY_STRING", ""))).get("container", [""])[-1]
        try:
            return _json(200, probed(name, inspect, local=local))
        except EngineNotFound:
            return _json(404, {"error": f"there is no container '{name}' on this host"})
        except EngineError as error:
            return _json(503, {"error": str(error)})
        except ValueError as error:
            return _json(400, {"error": str(error)})

    return {PATH: {"GET": probe}}


def _attempt(container: Container, spec: ProbeSpec, inspect: Inspect, *, local: bool) -> str:
    address = address_of(container, spec, inspect, local=local)
    return attempt(spec, address) if address else "it has no address on this host"


def _json(status: int, value: object) -> Response:
    return Response(status, msgspec.json.encode(value) + b"\n", "application/json")
