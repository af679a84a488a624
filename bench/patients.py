"""Containers that fall ill when they are told to: in a fake Engine of their own, or in a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import docker
import docker.errors

from bench.engine_events import EngineEvents
from bench.remediation_plan import How, Patient, Trouble
from bench.restarts import Event
from lab import LabError, busybox
from lab.engine import ping

OPT_IN = {"compose-agent.remediate": "restart"}

_CALL_SECONDS = 60
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
# The stop timeout of those that do not hear SIGTERM, in seconds.
_DEAF_STOP_SECONDS = 1
_ILL = "/tmp/ill"
# A restart makes everybody well: what makes one ill is removed by the script.
_SCRIPT = f"rm -f {_ILL}; trap '{{trap}}' TERM; while :; do sleep 0.05; done"
_CHECK = {
    "test": ["CMD-SHELL", f"test ! -e {_ILL}"],
    "interval": 300_000_000,
    "timeout": 10_000_000_000,
    "retries": 1,
}


class Ward(Protocol):
    """Where patients live; a context manager. ``host`` is the Engine's address."""

    host: str

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def admit(self, patient: Patient) -> None:
        """Make a container and start it, well."""

    def fall_ill(self, name: str, how: How) -> None:
        """Make a container ill."""

    def heal(self, name: str) -> None:
        """Let an unhealthy container become well without anybody's doing."""

    def trouble(self, trouble: Trouble) -> None:
        """Let the Engine have a fault."""

    def is_well(self, name: str) -> bool:
        """Tell whether a container runs and is healthy."""

    def is_ill(self, name: str) -> bool:
        """Tell whether the Engine has noticed that a container is ill."""

    def events(self) -> list[Event]:
        """Return how containers have died, started and changed their health since the ward was opened."""


def fake_ward(folder: Path) -> Ward:
    """Return a ward in a fake Engine, a process of its own, with its socket in ``folder``."""
    return _FakeWard(folder)


def real_ward(host: str) -> Ward:
    """Return a ward in a real Engine, which may have other containers as well."""
    return _RealWard(host)


class _Watched:
    """An Engine's events, followed from the beginning, and what both kinds of ward have in common."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._client = docker.APIClient(base_url=host, version="1.41", timeout=_CALL_SECONDS)
        self._events = EngineEvents(host, ("die", "start", "health_status"))

    def is_well(self, name: str) -> bool:
        row = self._row(name)
        return row["State"] == "running" and "(healthy)" in row["Status"]

    def is_ill(self, name: str) -> bool:
        row = self._row(name)
        return row["State"] != "running" or "(unhealthy)" in row["Status"]

    def events(self) -> list[Event]:
        return self._events.all()

    def create(self, patient: Patient, image: str) -> None:
        self._client.create_container(
            image,
            ["sh", "-c", _SCRIPT.format(trap="" if patient.deaf else "exit 0")],
            name=patient.name,
            labels=OPT_IN if patient.opted_in else {},
            healthcheck=_CHECK,
            stop_timeout=_DEAF_STOP_SECONDS if patient.deaf else None,
            host_config=self._client.create_host_config(network_mode="none"),
        )

    def start(self, name: str) -> None:
        self._client.start(name)
        wait_until(lambda: self.is_well(name), f"{name} did not become well")

    def close(self) -> None:
        self._events.close()
        self._client.close()

    def _row(self, name: str) -> Mapping[str, str]:
        """Return a container's entry in the list: an inspect would use up the faults meant for the agent."""
        (row,) = self._client.containers(all=True, filters={"name": f"^/?{name}$"})
        found: Mapping[str, str] = row
        return found


class _FakeWard(_Watched):
    """Patients in a fake Engine, which is a process of its own so that it outlives whoever is killed."""

    def __init__(self, folder: Path) -> None:
        self._cleanup = ExitStack()
        path = folder / "docker.sock"
        engine = subprocess.Popen(
            [sys.executable, "-P", "-m", "compose_agent.dockerd.fake", f"--socket={path}"],
            stdout=subprocess.DEVNULL,
        )
        self._cleanup.callback(engine.wait)
        self._cleanup.callback(engine.terminate)
        wait_until(lambda: ping(str(path)), "the fake Engine did not start")
        super().__init__(f"unix://{path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._cleanup.close()

    def admit(self, patient: Patient) -> None:
        self.create(patient, "busybox:latest")
        behaviour = {
            "stop_takes": patient.stop_takes,
            "start_takes": patient.start_takes,
            "ignores_term": patient.deaf,
            "health": "healthy",
            "health_takes": 0.05,
        }
        self._control("POST", f"containers/{patient.name}/behaviour", behaviour)
        self.start(patient.name)

    def fall_ill(self, name: str, how: How) -> None:
        if how is How.CRASHED:
            self._control("POST", f"containers/{name}/die?code=137")
        else:
            self._control("POST", f"containers/{name}/health?status=unhealthy")

    def heal(self, name: str) -> None:
        self._control("POST", f"containers/{name}/health?status=healthy")

    def trouble(self, trouble: Trouble) -> None:
        fault = asdict(trouble)
        del fault["at"]
        self._control("POST", "faults", {**fault, "times": 1})

    def _control(self, method: str, path: str, body: object = None) -> None:
        url = f"{self._client.base_url}/_fake/{path}"
        answer = self._client.request(method, url, data=json.dumps(body) if body else None)
        if answer.status_code >= 400:
            raise LabError(f"the fake Engine refused {path}: {answer.text}")


class _RealWard(_Watched):
    """Patients in a real Engine, which may have others as well; they are removed at the end."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        client = docker.DockerClient(base_url=host, timeout=_CALL_SECONDS)
        self._image = busybox.ensure_image(client)
        client.close()
        self._names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._names:
            with suppress(docker.errors.APIError):
                self._client.remove_container(name, force=True)
        self.close()

    def admit(self, patient: Patient) -> None:
        self._names.append(patient.name)
        self.create(patient, self._image)
        self.start(patient.name)

    def fall_ill(self, name: str, how: How) -> None:
        if how is How.CRASHED:
            os.kill(self._client.inspect_container(name)["State"]["Pid"], signal.SIGKILL)
        else:
            self._run(name, "touch", _ILL)

    def heal(self, name: str) -> None:
        self._run(name, "rm", "-f", _ILL)

    def trouble(self, trouble: Trouble) -> None:
        raise LabError(f"a real Engine cannot be told to have a fault: {trouble}")

    def events(self) -> list[Event]:
        return self._events.all(self._names.__contains__)

    def _run(self, name: str, *command: str) -> None:
        # It may be restarted at this moment, which makes it well, or ill once more in vain.
        with suppress(docker.errors.APIError):
            self._client.exec_start(self._client.exec_create(name, list(command))["Id"])


def wait_until(true: Callable[[], bool], failure: str, seconds: float = _START_SECONDS) -> None:
    """Return as soon as a function returns true; LabError after so many seconds."""
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            raise LabError(f"{failure} within {seconds:g} s")
        time.sleep(_POLL_SECONDS)
