"""Both ways to an Engine do the same: its unix socket, and TCP through the library."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.errors import EngineError, EngineGarbage, EngineNotFound, EngineTimeout, EngineUnreachable

DEADLINE_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
# What a process has loaded that has asked an Engine on a unix socket.
ASKING = """
import sys
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.errors import EngineError
client = EngineClient(Endpoint(sys.argv[1], "test"))
client.list_containers()
try:
    client.inspect("nobody")
except EngineError:
    print(*[name for name in ("docker", "requests") if name in sys.modules])
"""


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started
        started.clear_faults()


@pytest.fixture(params=["unix", "tcp"])
def client(request: pytest.FixtureRequest, engine: FakeEngine) -> Iterator[EngineClient]:
    with ExitStack() as stack:
        host = engine.url if request.param == "unix" else stack.enter_context(relayed(engine.url))
        made = EngineClient(Endpoint(host, "test"), timeout=DEADLINE_SECONDS)
        stack.callback(made.close)
        yield made


@contextmanager
def relayed(url: str) -> Iterator[str]:
    """Hand connections on a port to a unix socket; the value is the port's address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):  # the listener is closed
                while True:
                    near, _ = listener.accept()
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(url.removeprefix("unix://"))
                    for ends in ((near, far), (far, near)):
                        threading.Thread(target=pump, args=ends, daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with source, suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_questions_and_acts_are_answered(engine: FakeEngine, client: EngineClient) -> None:
    engine.add_container("web", running=False, labels={"a b": "ü&="})
    assert [each["Labels"] for each in client.list_containers()] == [{"a b": "ü&="}]
    made = client.create("twelve", {"Image": "busybox", "Cmd": ["ü", "&="]})
    client.start(made)
    shown = client.inspect(made)
    assert (shown["Config"]["Cmd"], shown["State"]["Running"]) == (["ü", "&="], True)
    assert client.info()["ContainersRunning"] == 1


def test_a_refusal_has_the_words_of_the_engine(client: EngineClient) -> None:
    with pytest.raises(EngineNotFound, match=r"answered 404 to /v1\.\d\d/containers/x%2Fy/json: No such"):
        client.inspect("x/y")


def test_an_answer_that_does_not_come_is_late(engine: FakeEngine, client: EngineClient) -> None:
    engine.add_fault(Fault("GET /info", "hang", times=1))
    with pytest.raises(EngineTimeout, match="gave no whole answer to info in time"):
        client.info()
    engine.clear_faults()
    assert client.info()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("GET /info", "garbage", times=1), EngineGarbage),
        (Fault("GET /info", "truncate", times=1), EngineGarbage),
        (Fault("GET /info", "wrong", times=1), EngineGarbage),
        (Fault("GET /info", "reset", times=1), EngineUnreachable),
        (Fault("GET /info", "reset-body", times=1), EngineUnreachable),
    ],
    ids=lambda each: each.kind if isinstance(each, Fault) else "",
)
def test_an_answer_that_is_spoiled_has_its_error_and_the_next_one_is_good(
    engine: FakeEngine, client: EngineClient, fault: Fault, kind: type[EngineError]
) -> None:
    client.negotiate()
    engine.add_fault(fault)
    with pytest.raises(EngineError) as caught:
        client.info()
    assert type(caught.value) is kind
    assert client.info()


def test_a_stream_is_silent_for_longer_than_the_deadline_and_is_ended_from_another_thread(
    engine: FakeEngine, client: EngineClient
) -> None:
    heard: list[str] = []
    told = threading.Event()
    with client.events() as stream:

        def listen() -> None:
            for event in stream:
                heard.append(event.action)
                told.set()

        thread = threading.Thread(target=listen)
        thread.start()
        thread.join(DEADLINE_SECONDS * 1.5)
        engine.add_container("web", running=False)
        assert told.wait(PATIENCE_SECONDS)
        stream.close()
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert heard == ["create"]


def test_whoever_asks_a_unix_socket_carries_no_library_for_it(engine: FakeEngine) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASKING, engine.url], capture_output=True, text=True, check=True
    )
    assert asked.stdout == "\n"
