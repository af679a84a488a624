"""What can be done to containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose_agent.dockerd.fake import signals, templates
from compose_agent.dockerd.fake.creation import create as create_container
from compose_agent.dockerd.fake.creation import remove_anonymous_volumes
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.routes import Call, Route
from compose_agent.dockerd.fake.wire import Request, Response, encoded, json_response

if TYPE_CHECKING:
    from collections.abc import Generator

    from compose_agent.dockerd.fake.core import Core
    from compose_agent.dockerd.fake.model import Container

DONE = Response(204)
# What update may change in HostConfig.
_UPDATABLE = frozenset(
    {
        "BlkioWeight", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime", "CpuShares",
        "CpusetCpus", "CpusetMems", "Memory", "MemoryReservation", "MemorySwap", "NanoCpus", "PidsLimit",
    }
)  # fmt: skip


def create(call: Call) -> Response:
    """Make a container."""
    container = create_container(
        call.core, call.request.query.get("name", ""), call.request.json(call.core.dialect)
    )
    return json_response({"Id": container.id, "Warnings": []}, 201)


def start(call: Call) -> Response:
    """Start a container."""
    call.core.lifecycle.start(_container(call.core, call.reference))
    return DONE


def stop(call: Call) -> Response:
    """Stop a container within ``t`` seconds, or kill it then."""
    seconds, signal = _timing(call.core, call.request, call.reference)
    call.core.lifecycle.stop(_container(call.core, call.reference), seconds, signal)
    return DONE


def restart(call: Call) -> Response:
    """Stop a container as above and start it."""
    seconds, signal = _timing(call.core, call.request, call.reference)
    call.core.lifecycle.restart(_container(call.core, call.reference), seconds, signal)
    return DONE


def kill(call: Call) -> Response:
    """Send a signal, SIGKILL unless another is named."""
    name = call.request.query.get("signal") or "SIGKILL"
    container = _container(call.core, call.reference)
    signal = signals.parse_signal(name)
    if signal is None:
        raise ApiError(400, call.core.dialect.invalid_signal(call.reference, name))
    call.core.lifecycle.kill(container, signal, call.reference)
    return DONE


def pause(call: Call) -> Response:
    """Freeze a container."""
    call.core.lifecycle.pause(_container(call.core, call.reference))
    return DONE


def unpause(call: Call) -> Response:
    """Let a frozen container go on."""
    call.core.lifecycle.unpause(_container(call.core, call.reference))
    return DONE


def rename(call: Call) -> Response:
    """Give a container another name."""
    call.core.lifecycle.rename(_container(call.core, call.reference), call.request.query.get("name", ""))
    return DONE


def update(call: Call) -> Response:
    """Change limits and the restart policy."""
    body = call.request.json(call.core.dialect)
    with call.core.changed:
        container = call.core.store.container(call.reference)
        host = container.host_config | {key: body[key] for key in _UPDATABLE & body.keys()}
        policy = body.get("RestartPolicy")
        if policy and policy.get("Name"):
            host["RestartPolicy"] = templates.restart_policy(call.core.dialect, policy)
        container.host_config = host
        call.core.events.container(container, "update")
    return json_response({"Warnings": None})


def wait(call: Call) -> Response:
    """Answer the exit code: at once when it does not run, else at the next exit or the removal."""
    condition = call.request.query.get("condition") or "not-running"
    if condition not in ("not-running", "next-exit", "removed"):
        raise ApiError(400, f'invalid condition: "{condition}"')
    container = _container(call.core, call.reference)
    return Response(200, content_type="application/json", stream=_outcome(call.core, container, condition))


def remove(call: Call) -> Response:
    """Remove a container."""
    container = _container(call.core, call.reference)
    call.core.lifecycle.remove(container, call.reference, force=call.request.flag("force"))
    if call.request.flag("v"):
        remove_anonymous_volumes(call.core, container)
    return DONE


def _container(core: Core, reference: str) -> Container:
    with core.changed:
        return core.store.container(reference)


def _timing(core: Core, request: Request, reference: str) -> tuple[int | None, int | None]:
    name = request.query.get("signal")
    signal = signals.parse_signal(name) if name else None
    if name and signal is None:
        raise ApiError(400, core.dialect.invalid_signal(reference, name))
    return request.integer("t"), signal


def _outcome(core: Core, container: Container, condition: str) -> Generator[bytes, None, None]:
    # The head goes out at once, so that a client knows that it is being waited for.
    yield b""
    exits = container.exits

    def over() -> bool:
        if container.removed or core.closing.is_set():
            return True
        if condition == "next-exit":
            return container.exits > exits
        return condition == "not-running" and not container.state.running

    with core.changed:
        core.processes.wait_for(over, None)
    error = {} if core.dialect.modern else {"Error": None}
    yield encoded(error | {"StatusCode": container.state.exit_code})


ROUTES = (
    Route("POST", "/containers/create", create),
    Route("POST", "/containers/{id}/start", start),
    Route("POST", "/containers/{id}/stop", stop),
    Route("POST", "/containers/{id}/restart", restart),
    Route("POST", "/containers/{id}/kill", kill),
    Route("POST", "/containers/{id}/pause", pause),
    Route("POST", "/containers/{id}/unpause", unpause),
    Route("POST", "/containers/{id}/rename", rename),
    Route("POST", "/containers/{id}/update", update),
    Route("POST", "/containers/{id}/wait", wait),
    Route("DELETE", "/containers/{id}", remove),
)
