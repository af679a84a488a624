"""The Engine client: a method for each call, typed, with what it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from compose_agent.dockerd.connection import EngineConnection
from compose_agent.dockerd.failures import decoded
from compose_agent.dockerd.logstream import LogStream
from compose_agent.dockerd.moments import parameter
from compose_agent.dockerd.stream import EventStream, History, parse_history
from compose_agent.errors import EngineGarbage


class EngineClient(EngineConnection):
    """The calls of the Engine's API that this agent has a use for."""

    def version(self) -> dict[str, Any]:
        """Return ``GET /version``."""
        return self._json("version", "/version", dict)

    def info(self) -> dict[str, Any]:
        """Return ``GET /info``; costs the Engine some 7 ms."""
        return self._json("info", "/info", dict)

    def list_containers(self) -> list[dict[str, Any]]:
        """Return every container, stopped ones too, in the list's short form."""
        answer = self._json("container_list", "/containers/json", list, {"all": "1"})
        if not all(isinstance(each, dict) and isinstance(each.get("Id"), str) for each in answer):
            raise EngineGarbage("the Engine listed something that is no container")
        return answer

    def inspect(self, container_id: str) -> dict[str, Any]:
        """Return everything about one container; EngineNotFound when it is gone."""
        return self._json("container_inspect", f"/containers/{quote(container_id, safe='')}/json", dict)

    def stats(self, container_id: str) -> dict[str, Any]:
        """Return one sample of a container's usage. Before Engine 23.0.8 this takes the Engine a second."""
        path = f"/containers/{quote(container_id, safe='')}/stats"
        return self._json("container_stats", path, dict, {"stream": "0", "one-shot": "1"})

    def events(self, since_ns: int | None = None) -> EventStream:
        """Open the stream of container events, from a moment of the Engine's clock on, or from now.

        From now is from a little later: the Engine answers before it begins to listen.
        """
        params = {"filters": '{"type":["container"]}'}
        if since_ns is not None:
            params["since"] = parameter(since_ns)
        with self._call("events"):
            return EventStream(self._checked(self._get(self._versioned("/events"), params)))

    def past_events(self, since_ns: int, until_ns: int) -> History:
        """Return the events between two moments of the Engine's own clock that it still remembers.

        It answers at once when ``until_ns`` is past, and waits for that moment otherwise.
        """
        params = {"since": parameter(since_ns), "until": parameter(until_ns)}
        with self._call("events_past"), self._get(self._versioned("/events"), params) as answer:
            return parse_history(self._checked(answer).read())

    def logs(self, container_id: str, *, tty: bool, since_ns: int) -> LogStream:
        """Open the stream of what a container has written since a moment and will write.

        It ends when the container stops. EngineNotFound or EngineRefused (409) of one that is being removed,
        EngineRefused (501) with a log driver that keeps nothing to read.
        """
        path = self._versioned(f"/containers/{quote(container_id, safe='')}/logs")
        params = {
            "follow": "1",
            "stdout": "1",
            "stderr": "1",
            "timestamps": "1",
            "since": parameter(since_ns),
        }
        with self._call("container_logs"):
            return LogStream(self._checked(self._get(path, params)), tty=tty)

    def last_logs(self, container_id: str, *, tty: bool, lines: int, since: str = "") -> LogStream:
        """Open the stream of the last lines that a container has written, which ends with the newest.

        ``since`` is Unix seconds, empty for always; errors are those of ``logs``.
        """
        path = self._versioned(_container(container_id, "logs"))
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": str(lines)}
        with self._call("container_logs"):
            return LogStream(
                self._checked(self._get(path, params | ({"since": since} if since else {}))), tty=tty
            )

    def list_images(self) -> list[dict[str, Any]]:
        """Return every image that the Engine has."""
        answer = self._json("image_list", "/images/json", list)
        if not all(isinstance(each, dict) for each in answer):
            raise EngineGarbage("the Engine listed something that is no image")
        return answer

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Make a container and return its id; ``body`` is what the Engine's API takes, and pulls no image.

        EngineNotFound without the image, EngineRefused (409) when the name is taken.
        """
        with self._call("container_create"):
            with self._send("POST", self._versioned("/containers/create"), {"name": name}, body) as answer:
                made = decoded(self._checked(answer))
            if not isinstance(made, dict) or not isinstance(made.get("Id"), str):
                raise EngineGarbage("the Engine gave a container that it made no id")
            return str(made["Id"])

    def start(self, container_id: str, *, timeout: float | None = None) -> None:
        """Start a container; one that runs goes on. EngineRefused when its command cannot be run."""
        self._do("container_start", "POST", _container(container_id, "start"), timeout=timeout)

    def stop(self, container_id: str, stop_seconds: int, *, signal: str = "", timeout: float) -> None:
        """Send the stop signal, and SIGKILL after ``stop_seconds``; one that does not run stays so.

        The Engine answers when the container has stopped, so ``timeout`` must be longer than that. It goes
        on also when nobody waits for its answer any more.
        """
        self._do(
            "container_stop",
            "POST",
            _container(container_id, "stop"),
            _stopping(stop_seconds, signal),
            timeout=timeout,
        )

    def restart(self, container_id: str, stop_seconds: int, *, signal: str = "", timeout: float) -> None:
        """Stop a container as ``stop`` does and start it; EngineRefused when the start fails."""
        self._do(
            "container_restart",
            "POST",
            _container(container_id, "restart"),
            _stopping(stop_seconds, signal),
            timeout=timeout,
        )

    def kill(self, container_id: str, signal: str) -> None:
        """Send a signal; EngineRefused (409) when the container does not run."""
        self._do("container_kill", "POST", _container(container_id, "kill"), {"signal": signal})

    def pause(self, container_id: str) -> None:
        """Freeze a container; EngineRefused (409) when it does not run or is frozen already."""
        self._do("container_pause", "POST", _container(container_id, "pause"))

    def unpause(self, container_id: str) -> None:
        """Let a frozen container go on; EngineRefused when it is not frozen."""
        self._do("container_unpause", "POST", _container(container_id, "unpause"))

    def rename(self, container_id: str, name: str) -> None:
        """Give a container another name; EngineRefused (409) when that is taken."""
        self._do("container_rename", "POST", _container(container_id, "rename"), {"name": name})

    def remove(
        self,
        container_id: str,
        *,
        force: bool = True,
        volumes: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Remove a container with its log; ``volumes``: its anonymous volumes too; ``force``: kill it first.

        EngineRefused (409) without ``force`` when it runs.
        """
        params = {"force": str(int(force)), "v": str(int(volumes))}
        self._do("container_remove", "DELETE", _container(container_id), params, timeout=timeout)

    def create_exec(self, container_id: str, command: Sequence[str]) -> str:
        """Prepare a command in a running container and return its id; nothing runs yet.

        EngineRefused (409) when the container does not run.
        """
        path = self._versioned(_container(container_id, "exec"))
        with self._call("exec_create"), self._send("POST", path, body={"Cmd": list(command)}) as answer:
            made = decoded(self._checked(answer))
            if not isinstance(made, dict) or not isinstance(made.get("Id"), str):
                raise EngineGarbage("the Engine gave a command that it prepared no id")
            return str(made["Id"])

    def start_exec(self, exec_id: str) -> None:
        """Run a prepared command, without waiting for its end; a second time is refused (409)."""
        path = f"/exec/{quote(exec_id, safe='')}/start"
        self._do("exec_start", "POST", path, body={"Detach": True})

    def inspect_exec(self, exec_id: str) -> dict[str, Any]:
        """Return the state of a prepared command (``Running``, ``ExitCode``, ``Pid``); EngineNotFound."""
        return self._json("exec_inspect", f"/exec/{quote(exec_id, safe='')}/json", dict)

    def network_connect(self, network: str, container_id: str, endpoint: Mapping[str, Any]) -> None:
        """Put a container on a network; ``endpoint`` is an EndpointConfig (``Aliases``, ``IPAMConfig`` …).

        EngineRefused (403) when it is on it already.
        """
        body = {"Container": container_id, "EndpointConfig": dict(endpoint)}
        self._do("network_connect", "POST", f"/networks/{quote(network, safe='')}/connect", body=body)

    def network_disconnect(self, network: str, container_id: str) -> None:
        """Take a container off a network; EngineRefused (403) when it is not on it."""
        body = {"Container": container_id, "Force": False}
        self._do("network_disconnect", "POST", f"/networks/{quote(network, safe='')}/disconnect", body=body)


def _container(container_id: str, verb: str = "") -> str:
    return f"/containers/{quote(container_id, safe='')}" + (f"/{verb}" if verb else "")


def _stopping(stop_seconds: int, signal: str) -> dict[str, str]:
    # Engines before 23 (API 1.42) take no notice of a signal here.
    return {"t": str(stop_seconds)} | ({"signal": signal} if signal else {})
