"""Both ways to an Engine do the same: its unix socket, and TCP through the library."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.errors import (
    EngineError,
    EngineGarbage,
    EngineNotFound,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
)
from tests.dockerd.talker import CHUNKED, PONG, after_ping, response, talking

DEADLINE_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
# What a process has loaded that has asked an Engine on a unix socket.
ASKING = """
import sys
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint, find_endpoint
from compose_agent.errors import EngineError
find_endpoint(None, {"HOME": sys.argv[2]})
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


def test_whoever_asks_a_unix_socket_carries_no_library_for_it(engine: FakeEngine, tmp_path: Path) -> None:
    # What "docker login" leaves in a home.
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text('{"auths": {}}')
    asked = subprocess.run(
        [sys.executable, "-c", ASKING, engine.url, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert asked.stdout == "\n"


@pytest.mark.parametrize("closing", ["", "Connection: close\r\n"])
def test_a_stream_ends_from_another_thread_also_when_it_is_the_last_answer(
    tmp_path: Path, closing: str
) -> None:
    head = CHUNKED.replace(b"\r\n\r\n", f"\r\n{closing}\r\n".encode())
    with talking(tmp_path / "docker.sock", after_ping(lambda: [head])):
        client = EngineClient(Endpoint(f"unix://{tmp_path}/docker.sock", "test"), timeout=PATIENCE_SECONDS)
        with client.events() as stream:
            reader = threading.Thread(target=list, args=(stream,))
            reader.start()
            began = time.monotonic()
            stream.close()
            reader.join()
        assert time.monotonic() - began < PATIENCE_SECONDS / 2
        client.close()


def test_a_redirect_is_no_success(tmp_path: Path) -> None:
    moved = response(b"", "301 Moved Permanently", "Location: /elsewhere\r\n")
    with talking(tmp_path / "docker.sock", lambda path: [PONG] if path == "/_ping" else [moved]):
        client = EngineClient(Endpoint(f"unix://{tmp_path}/docker.sock", "test"))
        with pytest.raises(EngineRefused, match=r"answered 301 to /v1.51/containers/x/start: /elsewhere"):
            client.start("x")
        client.close()


def test_a_byte_that_is_no_utf8_spoils_no_answer(tmp_path: Path) -> None:
    odd = response(b'{"Name": "caf\xe9"}')
    with talking(tmp_path / "docker.sock", lambda path: [PONG] if path == "/_ping" else [odd]):
        client = EngineClient(Endpoint(f"unix://{tmp_path}/docker.sock", "test"))
        assert client.info() == {"Name": "caf\ufffd"}
        client.close()
