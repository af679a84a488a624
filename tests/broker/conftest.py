"""Both sockets, in front of the fake Engine and of an actor that only remembers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from wsgiref.types import WSGIApplication

import pytest

from broker.act import LIMITS, ActApp
from broker.metrics import BrokerMetrics
from broker.read import ReadApp, limits
from broker.streams import Streams
from compose_agent.address import UnixAddress
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, Standing, VerbRequest
from compose_agent.role import ConfigState
from compose_agent.web.server import Limits, WebServer

# What bounded polling may take on a loaded machine.
PATIENCE_SECONDS = 20.0
MOST_STREAMS = 3
SHOWN = ("PATH", "LC_*")


@dataclass
class RememberingActor:
    """Does each id once, and remembers what it was asked; ``fault`` is raised by every call."""

    asked: list[VerbRequest] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    fault: ActorUnavailable | None = None
    before: Callable[[], object] = lambda: None

    def perform(self, request: VerbRequest) -> Outcome:
        self.asked.append(request)
        if self.fault:
            raise self.fault
        self.before()
        return self.outcomes.setdefault(
            request.id, Outcome(result=Result.DONE, details={"target": request.target})
        )

    def standing(self, request_id: str) -> Standing:
        if self.fault:
            raise self.fault
        if request_id in self.outcomes:
            return Standing.ENDED
        asked = any(each.id == request_id for each in self.asked)
        return Standing.STARTED if asked else Standing.UNKNOWN


@dataclass(frozen=True)
class Socket:
    """A socket to talk to, in raw bytes or as HTTP/1.0."""

    path: Path

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE_SECONDS)
        sock.connect(str(self.path))
        return sock

    def exchange(self, data: bytes) -> bytes:
        """Send bytes, and return everything that comes until the other side closes."""
        with closing(self.connect()) as sock:
            sock.sendall(data)
            return b"".join(iter(lambda: sock.recv(65536), b""))

    def ask(self, line: str, headers: str = "", body: bytes = b"") -> tuple[int, bytes]:
        """Return status and body of the answer to ``GET /path``."""
        head = f"{line} HTTP/1.0\r\n{headers}\r\n".encode("latin-1")
        answer = self.exchange(head + body)
        top, _, rest = answer.partition(b"\r\n\r\n")
        return int(top.split()[1]), rest


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started
        started.clear_faults()


@pytest.fixture
def metrics() -> BrokerMetrics:
    return BrokerMetrics(ConfigState())


@pytest.fixture
def streams() -> Iterator[Streams]:
    made = Streams(MOST_STREAMS)
    yield made
    made.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[str, WSGIApplication, Limits], Socket]]:
    with ExitStack() as stack:

        def start(name: str, app: WSGIApplication, limits: Limits) -> Socket:
            path = tmp_path / name
            stack.enter_context(WebServer(UnixAddress(path), app, limits=limits))
            return Socket(path)

        yield start


@pytest.fixture
def read_socket(
    engine: FakeEngine,
    metrics: BrokerMetrics,
    streams: Streams,
    served: Callable[[str, WSGIApplication, Limits], Socket],
) -> Iterator[Socket]:
    client = EngineClient(Endpoint(engine.url, "test"))
    app = ReadApp(client, streams, metrics, lambda: SHOWN)
    yield served("read.sock", app, limits(MOST_STREAMS))
    streams.close()
    client.close()


@pytest.fixture
def actor() -> RememberingActor:
    return RememberingActor()


@pytest.fixture
def act_socket(
    actor: RememberingActor,
    metrics: BrokerMetrics,
    served: Callable[[str, WSGIApplication, Limits], Socket],
) -> Socket:
    app = ActApp(actor, {"restart", "compose_scale", "swarm_scale"}, metrics)
    return served("act.sock", app, LIMITS)


def eventually(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)
