"""``_ping``, ``version``, ``info``, ``events``, ``system/df``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose_agent.dockerd.fake import system
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.filters import Filters, event_matches, parse_filters
from compose_agent.dockerd.fake.routes import Call, Route
from compose_agent.dockerd.fake.times import parse_timestamp
from compose_agent.dockerd.fake.wire import Request, Response, encoded, json_response

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Generator

    from compose_agent.dockerd.fake.core import Core
    from compose_agent.dockerd.fake.events import Event

# How often a silent stream looks whether its client is still there.
PEER_CHECK_SECONDS = 0.5
_NDJSON_SINCE = (1, 52)


def ping(call: Call) -> Response:
    """Answer OK, with the headers that clients negotiate by."""
    headers = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}
    if call.core.dialect.modern:
        headers |= {"Builder-Version": "2", "Swarm": "inactive"}
    return Response(200, b"OK", "text/plain; charset=utf-8", headers=headers)


def version(call: Call) -> Response:
    """Answer the versions of the Engine and its API."""
    return json_response(system.version(call.core.dialect))


def info(call: Call) -> Response:
    """Answer what the Engine says about itself and its host."""
    with call.core.changed:
        listeners = len(call.core.events.listeners)
        shape = system.info(
            call.core.view(call.request.version),
            engine_id=call.core.engine_id,
            listeners=listeners,
            more=call.core.info,
        )
    return json_response(shape)


def disk_usage(call: Call) -> Response:
    """Answer what takes disk space."""
    with call.core.changed:
        return json_response(system.disk_usage(call.core.view(call.request.version)))


def events(call: Call) -> Response:
    """Stream events: the past from ``since`` on, then live ones until ``until`` or for ever."""
    since, until = (parse_timestamp(call.request.query.get(key, "")) for key in ("since", "until"))
    if since is not None and until is not None and since > until:
        given = call.request.query
        words = f"`since` time ({given['since']}) cannot be after `until` time ({given['until']})"
        raise ApiError(400, words)
    filters = parse_filters(call.request.query.get("filters", ""), call.core.dialect)
    content_type = "application/x-ndjson" if call.request.version >= _NDJSON_SINCE else "application/json"
    lines = _lines(call.core, call.request, filters, (since, until))
    return Response(200, content_type=content_type, stream=lines)


def _lines(
    core: Core, request: Request, filters: Filters, span: tuple[int | None, int | None]
) -> Generator[bytes, None, None]:
    until = span[1]
    queue = core.events.listen(*span)
    try:
        yield b""
        while not core.closing.is_set():
            over = until is not None and core.clock.time_ns() >= until
            batch = _next_batch(core, queue, 0 if over else PEER_CHECK_SECONDS)
            for event in batch:
                if event_matches(event, filters) and (until is None or event.time_ns <= until):
                    yield encoded(event.shape(request.version))
            if over:
                return
            if not batch:
                yield b""
    finally:
        core.events.leave(queue)


def _next_batch(core: Core, queue: deque[Event], patience: float) -> list[Event]:
    with core.changed:
        if not queue and patience:
            core.changed.wait(patience)
        batch = list(queue)
        queue.clear()
        return batch


ROUTES = (
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping),
    Route("GET", "/version", version),
    Route("GET", "/info", info),
    Route("GET", "/events", events),
    Route("GET", "/system/df", disk_usage),
)
