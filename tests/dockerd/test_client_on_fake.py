"""The client against an Engine: what it negotiates, keeps open, waits for, and says when things go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.connection import PING_TIMEOUT_SECONDS
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.dockerd.fake.faults import Kind
from compose_agent.errors import (
    EngineError,
    EngineGarbage,
    EngineNotFound,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    EngineUnsupported,
)

# What a call may take on a loaded machine.
PATIENCE_SECONDS = 20.0
MINIMAL = {"Image": "busybox:latest", "Cmd": ["app"]}

Call = Callable[[EngineClient, str], object]
CALLS: dict[str, tuple[str, Call]] = {
    "version": ("GET /version", lambda client, _: client.version()),
    "info": ("GET /info", lambda client, _: client.info()),
    "list": ("GET /containers/json", lambda client, _: client.list_containers()),
    "inspect": ("GET /containers/*/json", lambda client, container: client.inspect(container)),
    "stats": ("GET /containers/*/stats", lambda client, container: client.stats(container)),
    "images": ("GET /images/json", lambda client, _: client.list_images()),
    "create": ("POST /containers/create", lambda client, _: client.create("", MINIMAL)),
}
FAULTS: dict[Kind, type[EngineError]] = {
    "hang": EngineTimeout,
    "slow": EngineTimeout,
    "slow-body": EngineTimeout,
    "error": EngineRefused,
    "reset": EngineUnreachable,
    "reset-body": EngineUnreachable,
    "truncate": EngineGarbage,
    "garbage": EngineGarbage,
    "wrong": EngineGarbage,
}


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started
        started.clear_faults()


@pytest.fixture
def kind() -> Kind:
    """Return the fault that is to come, if a test does not say which."""
    return "hang"


@pytest.fixture
def client(engine: FakeEngine, kind: Kind) -> Iterator[EngineClient]:
    """Return a client that is waited for only where a fault is one of time."""
    seconds = 1.0 if FAULTS[kind] is EngineTimeout else PATIENCE_SECONDS
    made = EngineClient(Endpoint(engine.url, "test"), timeout=seconds)
    yield made
    made.close()


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_each_fault_of_each_call_is_named_and_the_next_call_works(
    engine: FakeEngine, client: EngineClient, call: str, kind: Kind
) -> None:
    container = engine.add_container("web")
    route, ask = CALLS[call]
    ask(client, container)
    # A body byte by byte takes far longer than any patience.
    engine.add_fault(Fault(route, kind, times=1, seconds=1.5, body='"words"'))
    started = time.monotonic()
    with pytest.raises(FAULTS[kind]) as raised:
        ask(client, container)
    assert type(raised.value) is FAULTS[kind]
    assert time.monotonic() - started < PATIENCE_SECONDS / 2
    ask(client, container)


@pytest.mark.parametrize(
    ("engine_version", "spoken"), [("1.41", "1.41"), ("1.47", "1.47"), ("1.51", "1.51"), ("1.52", "1.51")]
)
def test_the_newest_version_that_both_speak_is_spoken(engine_version: str, spoken: str) -> None:
    with FakeEngine(api_version=engine_version) as engine:
        client = EngineClient(Endpoint(engine.url, "test"))
        assert client.version()["ApiVersion"] == engine_version
        assert client.api_version == spoken
        client.close()


def test_an_engine_that_is_too_old_is_told_from_one_that_is_broken() -> None:
    with FakeEngine(api_version="1.40") as engine:
        client = EngineClient(Endpoint(engine.url, "test"))
        with pytest.raises(EngineUnsupported, match=r"1\.40.*upgrade Docker"):
            client.negotiate()
        client.close()


def test_what_is_gone_is_not_found(client: EngineClient) -> None:
    with pytest.raises(EngineNotFound, match="No such container"):
        client.inspect("0" * 64)


def test_a_container_is_made_started_and_removed(engine: FakeEngine, client: EngineClient) -> None:
    made = client.create("made", MINIMAL)
    assert engine.inspect("made")["State"]["Status"] == "created"
    for _ in range(2):  # starting what runs is no failure
        client.start(made)
    assert engine.inspect(made)["State"]["Running"]
    with pytest.raises(EngineRefused, match="already in use"):
        client.create("made", MINIMAL)
    client.remove(made)
    for gone in (client.start, client.remove):
        with pytest.raises(EngineNotFound, match="No such container"):
            gone(made)


def test_an_image_that_is_not_there_is_not_found(client: EngineClient) -> None:
    assert [each["RepoTags"] for each in client.list_images()] == [["busybox:latest"]]
    with pytest.raises(EngineNotFound, match="No such image"):
        client.create("", {"Image": "nowhere:1", "Cmd": ["app"]})


def test_a_frozen_engine_misses_the_pings_own_deadline(engine: FakeEngine) -> None:
    client = EngineClient(Endpoint(engine.url, "test"), timeout=3 * PATIENCE_SECONDS)
    engine.freeze()
    started = time.monotonic()
    with pytest.raises(EngineTimeout):
        client.ping()
    assert PING_TIMEOUT_SECONDS <= time.monotonic() - started < PING_TIMEOUT_SECONDS + PATIENCE_SECONDS
    engine.thaw()
    client.ping()
    client.close()


def test_an_engine_that_is_gone_is_unreachable_and_then_there_again(
    engine: FakeEngine, client: EngineClient
) -> None:
    client.negotiate()
    engine.stop_engine()
    with pytest.raises(EngineUnreachable, match="start Docker"):
        client.ping()
    engine.start_engine()
    client.ping()


def test_calls_share_a_few_connections(engine: FakeEngine, client: EngineClient) -> None:
    ids = [engine.add_container(f"c{n}") for n in range(60)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client.inspect, ids * 3))
    assert engine._listener is not None
    assert len(engine._listener._connections) <= 5


def test_close_of_a_silent_stream_ends_its_iteration_in_another_thread(
    engine: FakeEngine, client: EngineClient
) -> None:
    seen: list[str] = []
    with client.events() as stream:
        reader = threading.Thread(target=lambda: seen.extend(event.action for event in stream))
        reader.start()
        engine.add_container("web")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(seen) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        stream.close()
        reader.join(PATIENCE_SECONDS)
    assert not reader.is_alive()
    assert seen == ["create", "start"]


def test_a_stream_resumes_at_the_last_event_and_repeats_it(engine: FakeEngine, client: EngineClient) -> None:
    engine.add_container("one", running=False)
    with client.events(10**9) as stream:
        last = next(iter(stream))
    engine.add_container("two", running=False)
    with client.events(last.time_ns) as stream:
        events = iter(stream)
        assert [next(events).attributes["name"] for _ in range(2)] == ["one", "two"]


def test_a_silent_stream_outlives_the_deadline_of_calls(engine: FakeEngine, client: EngineClient) -> None:
    with client.events() as stream:
        events = iter(stream)
        timer = threading.Timer(1.5, engine.add_container, ["late"])
        timer.start()
        assert next(events).action == "create"
        timer.join()  # it is started after that


def test_a_socket_that_nobody_listens_on_says_what_to_do(tmp_path: Path) -> None:
    client = EngineClient(Endpoint(f"unix://{tmp_path}/none.sock", "test"))
    with pytest.raises(EngineUnreachable, match=r"none\.sock.*DOCKER_HOST"):
        client.ping()
    client.close()


def test_every_call_is_observed_with_its_outcome(engine: FakeEngine) -> None:
    heard: list[tuple[str, str]] = []
    client = EngineClient(
        Endpoint(engine.url, "test"),
        observe=lambda call, _, outcome: heard.append((call, outcome)),
        timeout=2.0,
    )
    client.info()
    engine.add_fault(Fault("GET /info", "hang"))
    with pytest.raises(EngineTimeout):
        client.info()
    client.close()
    assert heard == [("ping", "ok"), ("info", "ok"), ("info", "timeout")]
