"""The client against servers that behave and servers that do not."""

import gzip
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compose_agent.dockerd import connection as connection_module
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.connection import negotiated_version
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.failures import outcome_of
from compose_agent.errors import (
    EngineError,
    EngineGarbage,
    EngineNotFound,
    EnginePermission,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    EngineUnsupported,
)
from tests.descriptors import open_sockets
from tests.dockerd.talker import CHUNKED, PONG, after_ping, chunk, response, talking
from tests.dockerd.watched import until

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docker.sock"


def client_of(path: Path, timeout: float = 5.0) -> EngineClient:
    return EngineClient(Endpoint(f"unix://{path}", "test"), timeout=timeout)


def answering(body: bytes, status: str = "200 OK", headers: str = "") -> Callable[[str], Iterable[bytes]]:
    whole = response(body, status, headers)
    return lambda path: [PONG] if path == "/_ping" else [whole]


@pytest.mark.parametrize(
    ("engine", "spoken"),
    [("1.41", "1.41"), ("1.43", "1.43"), ("1.51", "1.51"), ("1.60", "1.51"), ("2.0", "1.51")],
)
def test_the_newest_version_that_both_speak_is_spoken(engine: str, spoken: str) -> None:
    assert negotiated_version(engine) == spoken


@pytest.mark.parametrize("engine", ["1.40", "1.24", "0.99", "1.9"])
def test_an_engine_that_is_too_old_is_refused(engine: str) -> None:
    with pytest.raises(EngineUnsupported) as caught:
        negotiated_version(engine)
    assert str(caught.value) == (
        f"the Engine speaks API {engine} and this agent needs 1.41 or newer: upgrade Docker to 20.10 or newer"
    )


@pytest.mark.parametrize(
    "engine",
    ["", "1", "1.", "1.4.1", "v1.41", "1.41 ", "1.4_1", "-1.41", "\u0661.\u0664\u0661", "9" * 5000 + ".1"],
)
def test_a_version_that_is_none_is_garbage(engine: str) -> None:
    with pytest.raises(EngineGarbage, match="the Engine calls its API version"):
        negotiated_version(engine)


@pytest.mark.parametrize(("engine", "prefix"), [("1.41", "/v1.41"), ("1.55", "/v1.51")])
def test_the_first_call_negotiates_and_the_next_ones_do_not(path: Path, engine: str, prefix: str) -> None:
    pong = response(b"OK", headers=f"Api-Version: {engine}\r\n")
    with talking(path, lambda asked: [pong] if asked == "/_ping" else [response(b"{}")]) as talker:
        client = client_of(path)
        client.info()
        client.version()
        client.close()
    assert talker.requests == ["/_ping", f"{prefix}/info", f"{prefix}/version"]


def test_many_calls_take_one_connection(path: Path) -> None:
    with talking(path, answering(b"{}")) as talker:
        client = client_of(path)
        for n in range(60):
            client.inspect(f"{n:064x}")
        client.close()
    assert (talker.connections, len(talker.requests)) == (1, 61)


def test_a_call_after_a_pause_longer_than_the_deadline_takes_the_same_connection(path: Path) -> None:
    with talking(path, answering(b"{}")) as talker:
        client = client_of(path, timeout=2.0)
        client.info()
        assert talker.wait(2.2)
        client.info()
        client.close()
    assert talker.connections == 1


def test_as_many_threads_as_ask_for_stats_keep_their_connections(path: Path) -> None:
    together = threading.Barrier(24)

    def reply(asked: str) -> Iterable[bytes]:
        if asked == "/_ping":
            return [PONG]
        together.wait(10)
        return [response(b"{}")]

    with talking(path, reply) as talker:
        client = client_of(path)
        client.negotiate()
        for _ in range(2):
            threads = [threading.Thread(target=client.stats, args=["a"]) for _ in range(24)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
        client.close()
    assert talker.connections == 24


def test_a_connection_that_the_engine_closed_meanwhile_is_opened_anew(path: Path) -> None:
    with talking(path, answering(b"{}")) as talker:
        client = client_of(path)
        client.info()
        for each in talker._open:
            each.shutdown(2)
        client.info()
        client.close()
    assert talker.connections == 2


def test_ids_cannot_change_the_path(path: Path) -> None:
    with talking(path, answering(b"{}")) as talker:
        client = client_of(path)
        client.inspect("../images/x?y#z")
        client.close()
    assert talker.requests[-1] == "/v1.51/containers/..%2Fimages%2Fx%3Fy%23z/json"


@pytest.mark.parametrize("name", ["with space", "per%20cent", "a?b#c", "ünï"])
def test_the_socket_may_have_any_name(tmp_path: Path, name: str) -> None:
    with talking(tmp_path / name, answering(b"{}")):
        client = client_of(tmp_path / name)
        assert client.info() == {}
        client.close()


REMEDY = "start Docker, or say where it listens with --docker.host or DOCKER_HOST"


def failure(client: EngineClient) -> EngineError:
    with pytest.raises(EngineError) as caught:
        client.info()
    client.close()
    return caught.value


def test_without_a_socket_it_says_where_it_looked(path: Path) -> None:
    error = failure(client_of(path))
    assert type(error) is EngineUnreachable
    assert str(error) == f"no Engine at unix://{path} (No such file or directory): {REMEDY}"


def test_a_socket_that_nobody_listens_on_says_so(path: Path) -> None:
    with talking(path, answering(b"{}")):
        pass
    error = failure(client_of(path))
    assert type(error) is EngineUnreachable
    assert str(error) == f"no Engine at unix://{path} (Connection refused): {REMEDY}"


def test_tcp_that_nobody_listens_on_says_so() -> None:
    error = failure(EngineClient(Endpoint("tcp://127.0.0.1:1", "test"), timeout=5))
    assert type(error) is EngineUnreachable
    assert str(error) == f"no Engine at tcp://127.0.0.1:1 (Connection refused): {REMEDY}"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, as /run is."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Be nobody for a while, if we are root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def test_without_permission_the_group_of_the_socket_is_told(open_folder: Path) -> None:
    path = open_folder / "docker.sock"
    with talking(path, answering(b"{}")):
        path.chmod(0)
        group = path.stat().st_gid
        with without_privileges():
            error = failure(client_of(path))
    assert type(error) is EnginePermission
    assert str(error) == (
        f"no permission on the Engine's socket unix://{path}: it belongs to group {group}: "
        f"add the user to it, or a container with group_add: [{group}]"
    )
    assert error.exit_code == 4


def test_without_permission_on_the_folder_there_is_a_remedy_too(open_folder: Path) -> None:
    path = open_folder / "docker.sock"
    with talking(path, answering(b"{}")):
        open_folder.chmod(0)
        with without_privileges():
            error = failure(client_of(path))
        open_folder.chmod(0o755)
    assert str(error) == f"no permission on the Engine's socket unix://{path}: run as a user who may use it"


def test_an_engine_that_hangs_is_a_timeout(path: Path) -> None:
    with talking(path, after_ping(list)):
        error = failure(client_of(path, timeout=1.0))
    assert type(error) is EngineTimeout
    assert str(error) == f"the Engine at unix://{path} gave no whole answer to info in time"


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"], ids=["head", "body"]
)
def test_the_deadline_holds_against_a_byte_every_50_ms(path: Path, head: bytes) -> None:
    drops = head or b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 9999

    def trickle() -> Iterator[bytes]:
        yield head
        for n in range(len(drops)):
            if not talker.wait(0.05):
                return
            yield drops[n : n + 1]

    with talking(path, after_ping(trickle)) as talker:
        client = client_of(path, timeout=1.0)
        client.negotiate()
        started = time.monotonic()
        error = failure(client)
        assert time.monotonic() - started < 10  # all of it would take minutes
    assert type(error) is EngineTimeout


def test_closing_ends_a_call_that_waits_and_refuses_later_ones(path: Path) -> None:
    asked = threading.Event()
    failed: list[EngineError] = []

    def hang() -> list[bytes]:
        asked.set()
        return []

    with talking(path, after_ping(hang)):
        client = client_of(path, timeout=60)
        caller = threading.Thread(target=lambda: failed.append(failure(client)))
        caller.start()
        assert asked.wait(20)
        client.close()
        caller.join(20)
        assert not caller.is_alive()
        assert type(failed[0]) is EngineUnreachable
        with pytest.raises(EngineUnreachable, match="is closed"):
            client.ping()


def test_a_ping_has_a_deadline_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PING_TIMEOUT_SECONDS", 0.1)
    with talking(path, lambda _: []):
        client = client_of(path, timeout=60)
        started = time.monotonic()
        with pytest.raises(EngineTimeout, match="no whole answer to ping in time"):
            client.ping()
        assert time.monotonic() - started < 20  # the deadline of other calls is a minute
        client.close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (
            "404 Not Found",
            b'{"message":"No such container: x"}',
            EngineNotFound,
            "404 to /v1.51/info: No such container: x",
        ),
        ("500 Oops", b'{"message":"disk on fire"}', EngineRefused, "500 to /v1.51/info: disk on fire"),
        ("500 Oops", b'{"cause":"podman says"}', EngineRefused, "500 to /v1.51/info: podman says"),
        ("503 Later", b"<html>busy</html>", EngineRefused, "503 to /v1.51/info: "),
        ("400 Bad", b'["list"]', EngineRefused, "400 to /v1.51/info: "),
        ("403 Forbidden", b"\xff\xfe", EngineRefused, "403 to /v1.51/info: "),
    ],
)
def test_a_refusal_has_the_engines_own_words(
    path: Path, status: str, body: bytes, kind: type[EngineError], text: str
) -> None:
    with talking(path, answering(body, status)):
        error = failure(client_of(path))
    assert type(error) is kind
    assert str(error) == f"the Engine answered {text}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "the Engine's answer to info is not JSON"),
        (b"<html>", "the Engine's answer to info is not JSON"),
        (b'{"a": ', "the Engine's answer to info is not JSON"),
        (b"\xff\xff", "the Engine's answer to info is not JSON"),
        (b"[1]", "the Engine answered info with list, not dict"),
        (b"5", "the Engine answered info with int, not dict"),
        (b"[" * 100_000, "the Engine's answer is nested without end"),
    ],
)
def test_an_answer_that_is_no_json_object_is_garbage(path: Path, body: bytes, text: str) -> None:
    with talking(path, answering(body)):
        error = failure(client_of(path))
    assert type(error) is EngineGarbage
    assert str(error) == text


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", EngineGarbage),
        (b"HTTP/1.1 abc OK\r\n\r\n", EngineGarbage),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", EngineGarbage),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", EngineGarbage),
        (response(b"no gzip", headers="Content-Encoding: gzip\r\n"), EngineGarbage),
        (None, EngineUnreachable),
    ],
)
def test_what_is_no_http_is_garbage_and_silence_is_unreachable(
    path: Path, raw: bytes | None, kind: type[EngineError]
) -> None:
    with talking(path, after_ping(lambda: None if raw is None else [raw])):
        assert type(failure(client_of(path))) is kind


def test_an_answer_cut_off_is_unreachable(path: Path) -> None:
    def cut() -> Iterator[bytes]:
        yield b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"'
        for each in talker._open:
            each.shutdown(2)

    with talking(path, after_ping(cut)) as talker:
        assert type(failure(client_of(path))) is EngineUnreachable


def test_a_compressed_and_chunked_answer_is_read(path: Path) -> None:
    body = gzip.compress(b'{"Name":"x"}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    with talking(path, after_ping(lambda: [head, chunk(body[:5]), chunk(body[5:]), chunk(b"")])):
        client = client_of(path)
        assert client.info() == {"Name": "x"}
        client.close()


@pytest.mark.parametrize("listed", [b'[{"Id":5}]', b"[null]", b'["x"]', b"[{}]"])
def test_a_list_of_something_else_is_garbage(path: Path, listed: bytes) -> None:
    with talking(path, answering(listed)):
        client = client_of(path)
        with pytest.raises(EngineGarbage, match="listed something that is no container"):
            client.list_containers()
        client.close()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (response(b"OK"), "is no Docker Engine: no Api-Version in its answer"),
        (response(b"no", "403 Forbidden"), "the Engine answered 403 to /_ping: "),
        (
            response(b'{"message":"m"}', "500 Oops", "Api-Version: 1.51\r\n"),
            "the Engine answered 500 to /_ping: m",
        ),
    ],
)
def test_a_ping_that_is_not_answered_as_an_engine_does_is_an_error(
    path: Path, answer: bytes, text: str
) -> None:
    with talking(path, lambda _: [answer]):
        client = client_of(path)
        with pytest.raises(EngineError) as caught:
            client.ping()
        client.close()
    assert str(caught.value).endswith(text)


@pytest.mark.parametrize("host", ["ssh://user@host", "npipe:////./pipe/x"])
def test_a_way_that_the_library_does_not_know_is_told(host: str) -> None:
    error = failure(EngineClient(Endpoint(host, "test")))
    assert type(error) is EngineUnreachable
    assert str(error).startswith(f"no way to the Engine at {host} (")


def test_every_call_is_observed_with_its_outcome(path: Path) -> None:
    heard: list[tuple[str, str]] = []
    with talking(path, answering(b"nothing", "404 Not Found")):
        client = EngineClient(
            Endpoint(f"unix://{path}", "test"),
            observe=lambda call, seconds, outcome: heard.append((call, outcome if seconds >= 0 else "?")),
        )
        with pytest.raises(EngineNotFound):
            client.inspect("x")
        client.close()
    assert heard == [("ping", "ok"), ("container_inspect", "not_found")]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (EngineTimeout("x"), "timeout"),
        (EngineNotFound("x", status=404), "not_found"),
        (EngineRefused("x", status=500), "refused"),
        (EnginePermission("x"), "permission"),
        (EngineGarbage("x"), "garbage"),
        (EngineUnreachable("x"), "unreachable"),
        (EngineUnsupported("x"), "unsupported"),
    ],
)
def test_outcomes_are_words(error: EngineError, outcome: str) -> None:
    assert outcome_of(error) == outcome


EVENT = b'{"Type":"container","Action":"start","Actor":{"ID":"a"},"timeNano":1}\n'


def test_an_event_stream_is_closed_from_another_thread(path: Path) -> None:
    with talking(path, after_ping(lambda: [CHUNKED, chunk(EVENT)])) as talker:
        client = client_of(path, timeout=1.5)
        stream = client.events(5_000_000_001)
        events = iter(stream)
        assert next(events).action == "start"
        ended = threading.Event()
        rest: list[object] = []

        def drain() -> None:
            rest.extend(events)
            ended.set()

        threading.Thread(target=drain, daemon=True).start()
        assert not ended.wait(2.0)  # longer than the deadline of calls: silence is normal here
        stream.close()
        assert ended.wait(20)
        client.close()
    assert rest == []
    assert talker.requests[-1].startswith("/v1.51/events?")
    assert "since=5.000000001" in talker.requests[-1]


def test_an_event_stream_that_breaks_says_so(path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CHUNKED + chunk(EVENT)
        for each in talker._open:
            each.shutdown(2)

    with talking(path, after_ping(broken)) as talker:
        client = client_of(path)
        events = iter(client.events())
        assert next(events).action == "start"
        with pytest.raises(EngineUnreachable, match="the event stream broke"):
            next(events)
        client.close()


def test_streams_leave_no_connection_behind(path: Path) -> None:
    before = open_sockets()
    with talking(path, after_ping(lambda: [CHUNKED, chunk(EVENT)])):
        client = client_of(path)
        client.negotiate()
        for read in (True, False):
            stream = client.events()
            if read:
                next(iter(stream))
            stream.close()
            del stream
        client.close()
    until(lambda: open_sockets() <= before)  # of other tests there may have been more


def test_a_refused_event_stream_is_an_error(path: Path) -> None:
    with talking(path, answering(b'{"message":"no events"}', "403 Forbidden")):
        client = client_of(path)
        with pytest.raises(EngineRefused, match="no events"):
            client.events()
        client.close()
