"""What can be read about containers: list, inspect, stats, top, logs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compose_agent.dockerd.fake import shapes, stats
from compose_agent.dockerd.fake.clock import NANOSECONDS
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.filters import check_list_filters, container_matches, parse_filters
from compose_agent.dockerd.fake.routes import Call, Route
from compose_agent.dockerd.fake.times import parse_timestamp, rfc3339
from compose_agent.dockerd.fake.wire import Request, Response, encoded, json_response

if TYPE_CHECKING:
    from collections.abc import Generator

    from compose_agent.dockerd.fake.core import Core
    from compose_agent.dockerd.fake.model import Container, LogLine

SAMPLE_SECONDS = 1.0  # the Engine samples once a second
LOG_POLL_SECONDS = 0.1
_TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]


def list_containers(call: Call) -> Response:
    """Answer the containers, the newest first; only running ones unless told otherwise."""
    filters = parse_filters(call.request.query.get("filters", ""), call.core.dialect)
    check_list_filters(filters, call.core.dialect)
    limit = call.request.integer("limit") or 0
    everything = call.request.flag("all") or limit > 0 or bool(filters.keys() & {"status", "exited"})
    with call.core.changed:
        view = call.core.view(call.request.version)
        chosen = [
            one
            for one in reversed(call.core.store.containers.values())
            if (everything or one.state.running) and container_matches(one, filters)
        ]
        chosen = chosen[:limit] if limit > 0 else chosen
        return json_response([shapes.list_item(one, view, size=call.request.flag("size")) for one in chosen])


def inspect(call: Call) -> Response:
    """Answer everything about one container."""
    with call.core.changed:
        container = call.core.store.container(call.reference)
        shape = shapes.inspect(container, call.core.view(call.request.version))
        if call.request.flag("size"):
            shape |= {"SizeRw": 0, "SizeRootFs": 1_982_340}
        return json_response(shape)


def container_stats(call: Call) -> Response:
    """Answer one sample at once (one-shot), one after a second (stream=0), or one each second."""
    with call.core.changed:
        container = call.core.store.container(call.reference)
    streaming = "stream" not in call.request.query or call.request.flag("stream")
    if streaming:
        return Response(200, content_type="application/json", stream=_samples(call.core, container))
    previous = None
    if not call.request.flag("one-shot") and container.state.running:
        previous = call.core.clock.time_ns()
        with call.core.changed:
            call.core.processes.wait_for(lambda: container.removed, SAMPLE_SECONDS)
    return Response(200, _sample(call.core, container, previous), "application/json")


def top(call: Call) -> Response:
    """Answer the processes: the main one, with its command."""
    with call.core.changed:
        container = call.core.store.container(call.reference)
        if not container.state.running:
            raise ApiError(409, call.core.dialect.not_running(container.id))
        call.core.events.container(container, "top")
        command = " ".join([*(container.config["Entrypoint"] or []), *(container.config["Cmd"] or [])])
        row = ["root", str(container.state.pid), "1", "0", "00:00", "?", "00:00:00", command]
        return json_response({"Processes": [row], "Titles": _TITLES})


def logs(call: Call) -> Response:
    """Answer what a container has written, in frames of stream and length unless it has a terminal."""
    if not (call.request.flag("stdout") or call.request.flag("stderr")):
        raise ApiError(400, "Bad parameters: you must choose at least one stream")
    with call.core.changed:
        container = call.core.store.container(call.reference)
    if container.host_config["LogConfig"]["Type"] == "none":
        raise ApiError(501, "configured logging driver does not support reading")
    kind = "raw" if container.config["Tty"] else "multiplexed"
    content_type = f"application/vnd.docker.{kind}-stream" if call.core.dialect.modern else ""
    return Response(200, content_type=content_type, stream=_log_frames(call.core, call.request, container))


def _sample(core: Core, container: Container, previous_ns: int | None) -> bytes:
    with core.changed:
        now = core.clock.time_ns()
        return encoded(stats.sample(container, now, previous_ns, cgroup_v2=core.cgroup_v2))


def _samples(core: Core, container: Container) -> Generator[bytes, None, None]:
    previous = None
    while not (container.removed or core.closing.is_set()):
        yield _sample(core, container, previous)
        previous = core.clock.time_ns()
        with core.changed:
            core.processes.wait_for(lambda: container.removed or core.closing.is_set(), SAMPLE_SECONDS)
        yield b""


def _log_frames(core: Core, request: Request, container: Container) -> Generator[bytes, None, None]:
    sent = _first_line(request, container)
    while True:
        with core.changed:
            waiting, over = container.logs[sent:], not container.state.running
        sent += len(waiting)
        for line in waiting:
            if _wanted(request, line):
                yield _frame(request, container, line)
        if over or not request.flag("follow") or core.closing.is_set():
            return
        if not waiting:
            time.sleep(LOG_POLL_SECONDS)
            yield b""


def _first_line(request: Request, container: Container) -> int:
    tail = request.query.get("tail", "all")
    if not tail.isdigit():
        return 0
    chosen = [number for number, line in enumerate(container.logs) if _wanted(request, line)]
    skipped = len(chosen) - int(tail)
    if skipped <= 0:
        return 0
    return chosen[skipped] if skipped < len(chosen) else len(container.logs)


def _wanted(request: Request, line: LogLine) -> bool:
    since, until = (parse_timestamp(request.query.get(key, "")) for key in ("since", "until"))
    in_time = line.time_ns >= (since or 0) and (until is None or line.time_ns <= until)
    return in_time and request.flag("stdout" if line.stream == 1 else "stderr")


def _frame(request: Request, container: Container, line: LogLine) -> bytes:
    data = line.data
    if request.flag("timestamps"):
        # Unlike elsewhere, with all nine digits.
        whole = rfc3339(line.time_ns // NANOSECONDS * NANOSECONDS).removesuffix("Z")
        data = f"{whole}.{line.time_ns % NANOSECONDS:09d}Z ".encode() + data
    if container.config["Tty"]:
        return data
    return bytes((line.stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


ROUTES = (
    Route("GET", "/containers/json", list_containers),
    Route("GET", "/containers/{id}/json", inspect),
    Route("GET", "/containers/{id}/stats", container_stats),
    Route("GET", "/containers/{id}/top", top),
    Route("GET", "/containers/{id}/logs", logs),
)
