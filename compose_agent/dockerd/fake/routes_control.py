"""The remote control below ``/_fake``: never recorded, never frozen, never at fault."""

from __future__ import annotations

import json
from typing import Any

from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.faults import Fault
from compose_agent.dockerd.fake.model import Behaviour
from compose_agent.dockerd.fake.probes import probe
from compose_agent.dockerd.fake.routes import Call, Route
from compose_agent.dockerd.fake.wire import Request, Response, json_response

PREFIX = "/_fake/"


def add_fault(call: Call) -> Response:
    """Put a fault in force; the body has the fields of ``Fault``."""
    call.core.faults.add(_built(Fault, call.request))
    return Response(204)


def clear_faults(call: Call) -> Response:
    """End all faults."""
    call.core.faults.clear()
    return Response(204)


def requests(call: Call) -> Response:
    """Answer ``[{"method", "path", "count"}]`` of all requests so far."""
    rows = []
    for asked, count in sorted(call.core.recorder.counts().items()):
        method, _, path = asked.partition(" ")
        rows.append({"method": method, "path": path, "count": count})
    return json_response(rows)


def forget_requests(call: Call) -> Response:
    """Count requests from zero again."""
    call.core.recorder.reset()
    return Response(204)


def freeze(call: Call) -> Response:
    """Stand still: connections are accepted, nothing is answered."""
    call.core.thawed.clear()
    return Response(204)


def thaw(call: Call) -> Response:
    """Go on."""
    call.core.thawed.set()
    return Response(204)


def behave(call: Call) -> Response:
    """Give a container another behaviour; the body has the fields of ``Behaviour``."""
    call.core.behave(call.reference, _built(Behaviour, call.request))
    return Response(204)


def die(call: Call) -> Response:
    """End a main process with ``?code=``."""
    call.core.die(call.reference, call.request.integer("code") or 0)
    return Response(204)


def oom(call: Call) -> Response:
    """Kill for lack of memory; with ``?child=1`` not the main process."""
    call.core.oom(call.reference, child_only=call.request.flag("child"))
    return Response(204)


def health(call: Call) -> Response:
    """Set the health to ``?status=``, or run one probe that ends with ``?probe=``."""
    code = call.request.integer("probe")
    if code is None:
        call.core.set_health(call.reference, call.request.query.get("status", "healthy"))
    else:
        probe(call.core, call.reference, code)
    return Response(204)


def _built(kind: Any, request: Request) -> Any:
    try:
        return kind(**json.loads(request.body or b"{}"))
    except (ValueError, TypeError) as error:
        raise ApiError(400, f"not a {kind.__name__}: {error}") from None


ROUTES = (
    Route("POST", "/_fake/faults", add_fault),
    Route("DELETE", "/_fake/faults", clear_faults),
    Route("GET", "/_fake/requests", requests),
    Route("DELETE", "/_fake/requests", forget_requests),
    Route("POST", "/_fake/freeze", freeze),
    Route("POST", "/_fake/thaw", thaw),
    Route("POST", "/_fake/containers/{id}/behaviour", behave),
    Route("POST", "/_fake/containers/{id}/die", die),
    Route("POST", "/_fake/containers/{id}/oom", oom),
    Route("POST", "/_fake/containers/{id}/health", health),
)
