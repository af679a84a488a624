from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from compose_agent.address import Address
from compose_agent.asking import retry_after
from compose_agent.errors import ConfigError
from log_forwarder.fake.bulk import FakeBulk
from log_forwarder.sinks.contract import RequestTooLarge, SinkUnavailable
from log_forwarder.sinks.http import HttpClient, Response, checked, client_of
from log_forwarder.sinks.word import SinkWord, parse_word

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOBODY = Address("127.0.0.1", 1)
Reply = Callable[[socket.socket, int], None]


@contextlib.contextmanager
def server(reply: Reply) -> Iterator[Address]:
    """Accept connections one after the other; ``reply`` gets each with its number, and its request unread."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        number = 0
        while not stop.is_set():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                if not stop.is_set():
                    reply(connection, number)
            number += 1

    thread = threading.Thread(target=serve)
    thread.start()
    address = Address("127.0.0.1", listener.getsockname()[1])
    try:
        yield address
    finally:
        stop.set()
        socket.create_connection((address.host, address.port)).close()
        thread.join()
        listener.close()


@contextlib.contextmanager
def client(
    *servers: Address, seconds: float = 5.0, tls: ssl.SSLContext | None = None
) -> Iterator[HttpClient]:
    made = HttpClient(servers, tls=tls, answer_seconds=seconds)
    try:
        yield made
    finally:
        made.close()  # servers wait for it


def say(*parts: bytes) -> Reply:
    def reply(connection: socket.socket, _: int) -> None:
        connection.recv(65536)
        for part in parts:
            connection.sendall(part)
        while connection.recv(65536):  # until the client closes
            pass

    return reply


def word(text: str) -> SinkWord:
    return parse_word(text, {"http": 80, "http+https": 443})


def test_an_answer_has_status_body_headers_and_server() -> None:
    with (
        server(say(b"HTTP/1.1 418 No\r\nX-A: b\r\nContent-Length: 3\r\n\r\ntea")) as address,
        client(address) as one,
    ):
        answer = one.request("GET", "/")
    assert answer == Response(418, b"tea", {"x-a": "b", "content-length": "3"}, f"http://{address}")


def test_a_connection_is_used_again() -> None:
    accepted = []

    def reply(connection: socket.socket, number: int) -> None:
        accepted.append(number)
        while connection.recv(65536):
            connection.sendall(OK)

    with server(reply) as address, client(address) as one:
        assert [one.request("GET", "/").body for _ in range(3)] == [b"ok"] * 3
    assert accepted[:1] == [0]
    assert len(accepted) == 1


def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    closed = threading.Event()

    def reply(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(OK)
        if number:
            while connection.recv(65536):
                pass
        else:
            connection.close()
            closed.set()

    with server(reply) as address, client(address) as one:
        one.request("GET", "/")
        assert closed.wait(20)
        wait_until_readable(one)
        assert one.request("GET", "/").status == 200


def test_nobody_there_means_that_nothing_was_stored() -> None:
    with client(NOBODY) as one, pytest.raises(SinkUnavailable) as caught:
        one.request("GET", "/")
    assert str(caught.value) == (
        "cannot connect to http://127.0.0.1:1 (Connection refused): check the address, and that it is running"
    )
    assert not caught.value.unseen


def test_a_name_that_is_none_is_said() -> None:
    with client(Address("no-such-host.invalid", 80)) as one, pytest.raises(SinkUnavailable) as caught:
        one.request("GET", "/")
    assert str(caught.value).startswith("cannot connect to http://no-such-host.invalid:80 (")
    assert not caught.value.unseen


def close_at_once(connection: socket.socket, _: int) -> None:
    connection.recv(65536)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (close_at_once, "Remote end closed connection without response|Connection reset by peer"),
        (say(b"HTTP/1.1 200 OK\r\n"), "timed out"),
        (say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), "timed out"),
        (say(), "timed out"),
        (say(b"SSH-2.0-OpenSSH_9.2\r\n"), "SSH-2.0-OpenSSH_9.2"),
    ],
)
def test_an_answer_that_does_not_come_leaves_all_open(reply: Reply, said: str) -> None:
    seconds = 0.3 if said == "timed out" else 30.0
    with server(reply) as address, client(address, seconds=seconds) as one:
        with pytest.raises(SinkUnavailable) as caught:
            one.request("POST", "/", b"x")
        assert caught.value.unseen
        assert re.match(rf"no answer from http://{address} \(({said})", str(caught.value))


def test_an_answer_that_trickles_is_given_up() -> None:
    def reply(connection: socket.socket, _: int) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1\r\nx\r\n")
            time.sleep(0.02)

    too_long = pytest.raises(SinkUnavailable, match="the answer takes too long")
    with server(reply) as address, client(address, seconds=1.5) as one, too_long:
        one.request("GET", "/")


def test_a_refusal_before_the_body_is_read_is_seen() -> None:
    def reply(connection: socket.socket, _: int) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with server(reply) as address, client(address) as one:
        assert one.request("POST", "/", b"x" * 5_000_000).status == 413


def test_the_next_server_is_asked_when_one_cannot_be_reached() -> None:
    with server(say(OK)) as address, client(NOBODY, address) as one:
        assert one.request("GET", "/").server == f"http://{address}"


def test_after_a_lost_answer_the_next_server_is_asked_first() -> None:
    with server(close_at_once) as first, server(say(OK)) as second, client(first, second) as one:
        with pytest.raises(SinkUnavailable):
            one.request("POST", "/")
        assert one.request("POST", "/").server == f"http://{second}"


def test_all_servers_that_failed_are_named() -> None:
    with client(NOBODY, Address("127.0.0.1", 2)) as one, pytest.raises(SinkUnavailable) as caught:
        one.request("GET", "/")
    assert "http://127.0.0.1:1 (" in str(caught.value)
    assert "http://127.0.0.1:2 (" in str(caught.value)


def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server(say(OK)) as address, client(address) as one:
        assert one.request("GET", "/").status == 200


@pytest.mark.parametrize(
    ("status", "message", "unseen"),
    [
        (401, "http://h does not know who we are (401): check user=", False),
        (403, "http://h forbids it (403 why): give the user", False),
        (429, "http://h is busy or not ready (429)", False),
        (502, "http://h is busy or not ready (502)", True),
        (503, "http://h is busy or not ready (503)", True),
        (504, "http://h is busy or not ready (504)", True),
        (302, "http://h redirects to http://x (302): put that in its word", False),
    ],
)
def test_a_status_is_a_sentence(status: int, message: str, unseen: bool) -> None:
    headers = {"retry-after": "3", "location": "http://x"}
    with pytest.raises(SinkUnavailable) as caught:
        checked(Response(status, b"why", headers, "http://h"))
    assert str(caught.value).startswith(message)
    assert caught.value.unseen is unseen


def test_a_body_too_large_is_its_own_error() -> None:
    with pytest.raises(RequestTooLarge):
        checked(Response(413, b"", {}, "http://h"))


@pytest.mark.parametrize("status", [200, 204, 400, 404, 500])
def test_other_statuses_are_left_to_the_caller(status: int) -> None:
    assert checked(Response(status, b"", {}, "http://h")).status == status


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("7", 7), ("1.5", 1.5), ("-3", 0), ("soon", 0), ("inf", 0), ("nan", 0)]
)
def test_retry_after_may_be_seconds(text: str, seconds: float) -> None:
    assert retry_after(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60))) == pytest.approx(60, abs=2)
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(seconds=60))) == 0


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name, text in {
        "password": "geheim\n",
        "pair": "id:key\n",
        "encoded": "aWQ6a2V5\n",
        "token": "t\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("query", "header"),
    [
        ("user=elastic&password-file={}/password", "Basic ZWxhc3RpYzpnZWhlaW0="),
        ("api-key-file={}/pair", "ApiKey aWQ6a2V5"),
        ("api-key-file={}/encoded", "ApiKey aWQ6a2V5"),
        ("token-file={}/token", "Bearer t"),
    ],
)
def test_credentials_come_from_files(secrets: Path, query: str, header: str) -> None:
    with FakeBulk(credentials=header) as fake:
        one = client_of(word(f"http://127.0.0.1:{fake.port}?{query.format(secrets)}"), tls=False)
        assert one.request("GET", "/").status == 200
        one.close()


def test_credentials_are_read_again_when_they_are_refused(secrets: Path) -> None:
    with FakeBulk(credentials="Bearer t") as fake:
        one = client_of(word(f"http://127.0.0.1:{fake.port}?token-file={secrets}/token"), tls=False)
        assert one.request("GET", "/").status == 200
        fake.credentials = "Bearer new"
        (secrets / "token").write_text("new")
        assert [one.request("GET", "/").status for _ in range(2)] == [401, 200]
        one.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://h?ca=/x", "sink http://h: ca has a meaning with https only"),
        ("http+https://h?ca=/x", "sink http+https://h: ca: there is no file /x"),
        ("http+https://h?key={}/token", "sink http+https://h: key needs cert"),
        ("http+https://h?ca={}/token", "sink http+https://h: ca: {}/token holds no certificate"),
        ("http+https://h?cert={}/token", "sink http+https://h: cert: {}/token and its key cannot be used"),
        ("http://h?user=u", "sink http://h: user and password-file go together"),
        (
            "http://h?token-file={}/token&api-key-file={}/pair",
            "sink http://h: api-key-file and token-file exclude each other",
        ),
        ("http://h?token-file=/x", "sink http://h: token-file: there is no file /x"),
        ("http:///x", "sink http:///x: it names no server"),
    ],
)
def test_what_is_wrong_with_a_word_is_said(secrets: Path, text: str, message: str) -> None:
    parsed = word(text.replace("{}", str(secrets)))
    with pytest.raises(ConfigError) as caught:
        client_of(parsed, tls="https" in parsed.scheme)
    assert str(caught.value).startswith(message.replace("{}", str(secrets)))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[FakeBulk]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FakeBulk(tls=context) as fake:
        yield fake


def tls_client(fake: FakeBulk, query: str) -> HttpClient:
    return client_of(word(f"http+https://127.0.0.1:{fake.port}?{query}"), tls=True)


def test_a_certificate_of_the_given_authority_is_trusted(
    tls_server: FakeBulk, authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    one = tls_client(tls_server, f"ca={tmp_path}/ca.pem")
    assert one.request("GET", "/").status == 200
    connection = one._connection
    assert one.request("GET", "/").server.startswith("https://")
    assert one._connection is connection
    one.close()


def test_any_certificate_is_trusted_on_demand(tls_server: FakeBulk) -> None:
    one = tls_client(tls_server, "insecure=1")
    assert one.request("GET", "/").status == 200
    one.close()


def test_an_unknown_authority_is_told_apart(tls_server: FakeBulk) -> None:
    one = tls_client(tls_server, "")
    with pytest.raises(
        SinkUnavailable, match=r"cannot connect .*certificate.*: give its authority with ca="
    ) as caught:
        one.request("GET", "/")
    assert not caught.value.unseen


def test_a_handshake_that_is_not_answered_is_given_up() -> None:
    with server(say()) as address:
        one = HttpClient([address], tls=ssl.create_default_context(), connect_seconds=0.2)
        with pytest.raises(SinkUnavailable, match=r"cannot connect to .*timed out") as caught:
            one.request("GET", "/")
    assert not caught.value.unseen


def test_a_client_shows_its_certificate(authority: trustme.CA, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("agent").private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    with FakeBulk(tls=context) as fake:
        one = tls_client(fake, f"ca={tmp_path}/ca.pem&cert={tmp_path}/own.pem")
        assert one.request("GET", "/").status == 200
        one.close()
        stranger = tls_client(fake, f"ca={tmp_path}/ca.pem")
        with pytest.raises(SinkUnavailable):
            stranger.request("GET", "/")
        stranger.close()


def wait_until_readable(one: HttpClient) -> None:
    """Return when the server's end of the connection has arrived."""
    connection = one._connection
    assert connection is not None
    deadline = time.monotonic() + 20
    while connection.is_connected:
        assert time.monotonic() < deadline
        time.sleep(0.01)
