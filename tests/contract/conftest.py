"""The same Engine twice: the fake and a real one, behind one way to make containers that behave."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import docker
import docker.errors
import pytest

from compose_agent.dockerd.fake import Behaviour, FakeEngine
from compose_agent.dockerd.fake.dialect import parse_version

Json = dict[str, Any]
# A real container start takes 0.2 s alone and seconds on a busy machine.
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.02
CALL_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Script:
    """One way to behave: what a real container runs, and what the fake is told."""

    argv: tuple[str, ...]
    behaviour: Behaviour
    says_ready: bool = False
    # A real test's limit, so that its memory is soon used up.
    memory: int = 0


def _shell(text: str) -> tuple[str, ...]:
    return ("sh", "-c", text)


_LOOP = "echo ready; while :; do sleep 0.05; done"
SCRIPTS = {
    "polite": Script(_shell(f"trap 'exit 0' TERM; {_LOOP}"), Behaviour(stop_takes=0.05), says_ready=True),
    "deaf": Script(_shell(f"trap '' TERM; {_LOOP}"), Behaviour(ignores_term=True), says_ready=True),
    "fails": Script(_shell("sleep 0.2; exit 7"), Behaviour(exit_after=0.2, exit_code=7)),
    "fails at once": Script(_shell("exit 3"), Behaviour(exit_after=0.01, exit_code=3)),
    "succeeds": Script(_shell("sleep 0.2"), Behaviour(exit_after=0.2)),
    "cannot start": Script(("/nope",), Behaviour(start_error='exec: "/nope": no such file or directory')),
    "eats memory": Script(
        _shell("a=x; while :; do a=$a$a$a; done"), Behaviour(ignores_term=True), memory=16 * 2**20
    ),
}


@dataclass(slots=True)
class Rig:
    """An Engine under test, with a client that we did not write."""

    path: str
    image: str
    client: docker.APIClient
    fake: FakeEngine | None = None
    restart_engine: Callable[[], None] = lambda: None
    _made: list[str] = field(default_factory=list)
    _starts: dict[str, int] = field(default_factory=dict)
    _began: float = field(default_factory=time.time)

    @property
    def api(self) -> tuple[int, int]:
        return parse_version(self.client.api_version)

    @property
    def modern(self) -> bool:
        return self.api >= (1, 42)

    def make(self, script: str, *, name: str | None = None, check: Json | None = None, **host: Any) -> str:
        chosen = SCRIPTS[script]
        if chosen.memory:
            host |= {"mem_limit": chosen.memory, "memswap_limit": chosen.memory}
        made: str = self.client.create_container(
            self.image,
            list(chosen.argv),
            name=name,
            labels={"contract": script},
            healthcheck=check,
            host_config=self.client.create_host_config(network_mode="none", **host),
        )["Id"]
        self._made.append(made)
        if self.fake is not None:
            self.fake.behave(made, chosen.behaviour)
        return made

    def run(self, script: str, **options: Any) -> str:
        made = self.make(script, **options)
        self.client.start(made)
        if SCRIPTS[script].says_ready:
            self.ready(made)
        if self.fake is not None and SCRIPTS[script].memory:
            self.fake.oom(made)
        return made

    def ready(self, container: str) -> None:
        """Wait until a real container has set up its traps once more."""
        self._starts[container] = self._starts.get(container, 0) + 1
        if self.fake is None:
            wanted = self._starts[container]
            self.until(lambda: self.client.logs(container).count(b"ready") >= wanted)

    def crash(self, container: str) -> None:
        if self.fake is not None:
            self.fake.die(container, 137)
        else:
            os.kill(self.state(container)["Pid"], signal.SIGKILL)

    def probe(self, container: str, code: int) -> None:
        """Run a health probe in the fake; a real Engine runs them by itself."""
        if self.fake is not None:
            self.fake.probe(container, code)

    def state(self, container: str) -> Json:
        state: Json = self.client.inspect_container(container)["State"]
        return state

    def events(self, container: str) -> list[Json]:
        """Everything that has been said about a container so far, but for health probes."""
        said = self.client.events(
            since=f"{self._began:.6f}",
            until=f"{time.time():.6f}",
            decode=True,
            filters={"container": container, "type": "container"},
        )
        return [event for event in said if not event["Action"].startswith("exec_")]

    def actions(self, container: str) -> list[str]:
        return [event["Action"] for event in self.events(container)]

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            assert time.monotonic() < deadline, "what was waited for has not come"
            time.sleep(POLL_SECONDS)

    def until_status(self, container: str, *status: str) -> None:
        self.until(lambda: self.state(container)["Status"] in status)

    def until_actions(self, container: str, actions: list[str], begin: int = 0) -> None:
        """Wait until this was said, from an event on: what is told of a moment ago may come later.

        A newer Engine tells of a stop and of the death that it waited for in either order.
        """
        either = [actions]
        if self.fake is None and self.modern:
            other = {"stop": "die", "die": "stop"}
            either.append([other.get(each, each) for each in actions])
        said: list[str] = []

        def is_so() -> bool:
            said[:] = self.actions(container)[begin:]
            return said in either

        try:
            self.until(is_so)
        except AssertionError:
            assert said == actions
            raise

    def state_of(self, container: str, status: str) -> Json:
        """Wait for a status, and return the state that had it: the next moment may have another one."""
        states: list[Json] = []

        def has_status() -> bool:
            states.append(self.state(container))
            return bool(states[-1]["Status"] == status)

        self.until(has_status)
        return states[-1]

    def stays(self, container: str, status: str, seconds: float = 0.7) -> bool:
        """Tell whether a container keeps its status for longer than the first restart would take."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.state(container)["Status"] != status:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def raw(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json, dict[str, str]]:
        """Ask without any client; return status, JSON (empty when there is none) and headers."""
        with self.connect(method, path, body) as connection, connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            headers = {}
            while line := answer.readline().strip():
                key, _, value = line.decode().partition(": ")
                headers[key.lower()] = value
            length = int(headers.get("content-length", 0))
            text = answer.read(length) if method != "HEAD" else b""
        is_json = headers.get("content-type") == "application/json" and text
        return status, json.loads(text) if is_json else {}, headers

    def connect(self, method: str, path: str, body: Json | None = None) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(CALL_SECONDS)
        connection.connect(self.path)
        data = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: engine\r\nContent-Length: {len(data)}\r\n"
        typed = "Content-Type: application/json\r\n" if body is not None else ""
        connection.sendall(f"{head}{typed}\r\n".encode() + data)
        return connection

    @staticmethod
    def together(*calls: Callable[[], Any]) -> list[BaseException | None]:
        """Make calls at the same time, and return what each of them raised."""
        with ThreadPoolExecutor(len(calls)) as pool:
            return [made.exception(CALL_SECONDS) for made in [pool.submit(call) for call in calls]]

    def clean(self) -> None:
        for container in self._made:
            try:
                self.client.remove_container(container, force=True, v=True)
            except docker.errors.NotFound:
                continue
        self.client.close()


def _fake_rig(api_version: str, minimum: str | None = None) -> Iterator[Rig]:
    with FakeEngine(api_version=api_version, min_api_version=minimum) as engine:
        client = docker.APIClient(base_url=engine.url, version=api_version, timeout=CALL_SECONDS)
        made = Rig(str(engine.socket), "busybox:latest", client, engine, engine.restart_engine)
        yield made
        made.clean()


def _real_rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    engine = request.getfixturevalue("engine")
    image = request.getfixturevalue("busybox")
    client = docker.APIClient(base_url=engine.host, version="auto", timeout=CALL_SECONDS)
    made = Rig(engine.socket, image, client, restart_engine=engine.restart)
    yield made
    made.clean()


@pytest.fixture(
    params=[
        pytest.param("1.41", id="fake-1.41"),
        pytest.param("1.51", id="fake-1.51"),
        pytest.param("real", id="real", marks=[pytest.mark.engine, pytest.mark.lines]),
    ]
)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """An Engine under test: fakes of both lines, and a real one."""
    yield from _real_rig(request) if request.param == "real" else _fake_rig(request.param)


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A real Engine, to compare with."""
    yield from _real_rig(request)


@pytest.fixture
def twin(real: Rig) -> Iterator[Rig]:
    """A fake that plays the same API versions as the real Engine."""
    version = real.client.version()
    for made in _fake_rig(version["ApiVersion"], version["MinAPIVersion"]):
        assert made.fake is not None
        made.fake.core.store.add_image(real.image, time.time_ns())
        made.image = real.image
        yield made
