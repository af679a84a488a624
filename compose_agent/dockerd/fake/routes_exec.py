"""Commands run inside containers: prepared, started at most once, and asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose_agent.dockerd.fake import commands
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.model import Command, new_id
from compose_agent.dockerd.fake.routes import Call, Route
from compose_agent.dockerd.fake.wire import Response, json_response

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.core import Core


def create(call: Call) -> Response:
    """Prepare a command; nothing runs yet."""
    body = call.request.json(call.core.dialect)
    argv = [str(word) for word in body.get("Cmd") or ()]
    if not argv:
        raise ApiError(400, "No exec command specified")
    with call.core.changed:
        container = call.core.store.container(call.reference)
        if not container.state.running:
            raise ApiError(409, call.core.dialect.not_running(container.id))
        if container.state.paused:
            advice = "unpause the container before exec"
            raise ApiError(409, f"container {container.id} is paused, {advice}")
        made = Command(new_id(), container, argv)
        call.core.store.commands[made.id] = made
        _tell(call.core, made, "exec_create")
        return json_response({"Id": made.id}, 201)


def start(call: Call) -> Response:
    """Run a prepared command, for the first and only time; only without waiting for its end."""
    call.request.json(call.core.dialect)
    with call.core.changed:
        command = call.core.store.command(call.reference)
        if not command.container.state.running:
            status = 409 if call.core.dialect.modern else 500
            raise ApiError(status, call.core.dialect.not_running(command.container.id))
        if command.exit_code is not None:
            raise ApiError(409, call.core.dialect.has_run(command.id))
        if command.running:
            raise ApiError(409, call.core.dialect.is_running(command.id))
        command.running, command.pid = True, call.core.processes.new_pid()
        _tell(call.core, command, "exec_start")
        behaviour = command.container.behaviour
        call.core.timers.call_later(
            behaviour.exec_takes,
            lambda: commands.end(call.core.events, command, behaviour.exec_exit_code),
        )
    return Response(200)


def inspect(call: Call) -> Response:
    """Answer how a command fares."""
    with call.core.changed:
        command = call.core.store.command(call.reference)
        process = {"tty": False, "entrypoint": command.argv[0], "arguments": command.argv[1:]}
        return json_response(
            {
                "ID": command.id,
                "Running": command.running,
                "ExitCode": command.exit_code,
                "ProcessConfig": process | {"privileged": False},
                "OpenStdin": False,
                "OpenStderr": False,
                "OpenStdout": False,
                "CanRemove": False,
                "ContainerID": command.container.id,
                "DetachKeys": "",
                "Pid": command.pid,
            }
        )


def _tell(core: Core, command: Command, action: str) -> None:
    words = f"{command.argv[0]} {' '.join(command.argv[1:])}"
    core.events.container(command.container, f"{action}: {words}", execID=command.id)


ROUTES = (
    Route("POST", "/containers/{id}/exec", create),
    Route("POST", "/exec/{id}/start", start),
    Route("GET", "/exec/{id}/json", inspect),
)
