"""The client, against servers that behave, and some that do not."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from compose_agent.address import Address
from compose_agent.errors import ConfigError
from compose_agent.web.response import Response
from compose_agent.web.server import WebServer
from remediation.httpapi import HeaderFile, HttpApi, HttpError, Peer, idempotency

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

SECRET = "Bearer sesame-open"


class OtherError(HttpError):
    """The error of the peer of these tests."""


def peer(url: str) -> Peer:
    return Peer("the server", url, "start it", OtherError)


@pytest.fixture
def echo() -> Iterator[str]:
    """Return the URL of a server that answers with a status from the path and the headers that it got."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        got = {key[5:].title(): text for key, text in environ.items() if key.startswith("HTTP_")}
        got |= {"path": environ["PATH_INFO"], "query": environ["QUERY_STRING"]}
        lines = [f"{key}={text}" for key, text in sorted(got.items())]
        status = int(environ["PATH_INFO"].rpartition("/")[2])
        location = [("Location", "/200")] if status == 302 else []
        return Response.text(status, "\n".join(lines), *location)(environ, start_response)

    with WebServer(Address("127.0.0.1", 0), app) as server:
        yield server.url


def test_what_is_asked_is_what_arrives(echo: str) -> None:
    api = HttpApi(peer(f"{echo}/prefix/"), credentials=lambda: {"X-Key": "k"})
    body = api.expect("POST", "/200?a=b%20c", b"{}", idempotency("i1.0")).decode().splitlines()
    assert {"path=/prefix/200", "query=a=b%20c", "X_Key=k", "Idempotency_Key=i1.0"} <= set(body)
    api.close()


@pytest.mark.parametrize(("status", "may_pass"), [(302, False), (404, False), (429, False), (500, True)])
def test_another_status_is_an_error_and_a_redirect_is_not_followed(
    echo: str, status: int, may_pass: bool
) -> None:
    api = HttpApi(peer(echo))
    with pytest.raises(
        OtherError, match=rf"the server at {echo} has answered {status} .*: start it"
    ) as raised:
        api.expect("GET", f"/{status}")
    assert (raised.value.status, raised.value.may_pass) == (status, may_pass)
    assert api.ask("GET", f"/{status}").status == status


def test_proxies_of_the_environment_are_not_used(echo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert HttpApi(peer(echo)).ask("GET", "/200").status == 200


def test_a_secret_that_a_server_sends_back_is_not_repeated(echo: str) -> None:
    api = HttpApi(peer(echo), credentials=lambda: {"Authorization": SECRET})
    with pytest.raises(OtherError, match=r"Authorization=\*\*\*") as raised:
        api.expect("GET", "/403")
    assert "sesame" not in str(raised.value)


def test_a_secret_is_read_anew_and_the_one_before_holds_while_there_is_none(
    echo: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    api = HttpApi(peer(echo), credentials=HeaderFile(file))
    assert f"Authorization={SECRET}" in api.expect("GET", "/200").decode()
    file.write_text("Basic other-one")
    assert "Authorization=Basic other-one" in api.expect("GET", "/200").decode()
    file.unlink()
    assert "Authorization=Basic other-one" in api.expect("GET", "/200").decode()
    file.write_text("two\nlines")
    with pytest.raises(OtherError, match=r"was not asked: .* expected one line of ASCII"):
        api.expect("GET", "/200")


@pytest.mark.parametrize("text", ["", "  \n", "sesame\nopen", "größe", "sesame\x00open", "sesame\x0bopen"])
def test_what_cannot_be_a_header_is_refused_at_the_start_and_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        HeaderFile(file)
    assert not any(word in str(raised.value).replace(str(file), "") for word in text.split())


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):  # until whoever asks has had enough
        pass


def dripping(head: bytes) -> Callable[[socket.socket], None]:
    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)

    return drip


def vanishing(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


BEHAVIOURS = [
    pytest.param(silent, "has not answered within 0.5 s", id="silent"),
    pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX: "), "has not answered within 0.5 s", id="drips its head"),
    pytest.param(
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        "has not answered within 0.5 s",
        id="drips its body",
    ),
    pytest.param(vanishing, "cannot be asked", id="ends half way"),
    pytest.param(lambda connection: connection.sendall(b"SSH-2.0\r\n"), "cannot be asked", id="speaks SSH"),
]


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(("behave", "said"), BEHAVIOURS)
def test_there_is_a_deadline_for_all_of_an_answer(
    behave: Callable[[socket.socket], None],
    said: str,
    secured: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        context = trusted(tmp_path, monkeypatch) if secured else None

        def serve() -> None:
            with suppress(OSError):  # who has waited long enough goes away, even before it is accepted
                plain, _ = listener.accept()
                connection = context.wrap_socket(plain, server_side=True) if context else plain
                with connection:
                    connection.recv(65536)
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        scheme = "https" if secured else "http"
        seconds = 0.5 if "within 0.5 s" in said else 30.0
        api = HttpApi(peer(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"), seconds=seconds)
        began = time.monotonic()
        with pytest.raises(OtherError, match=said) as raised:
            api.ask("GET", "/")
        assert raised.value.may_pass
        assert time.monotonic() - began < 10
        api.close()
        thread.join(10)  # so that it closes nothing during another test


def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Have the system trust a new authority, and return what its server needs."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_certificate_that_nobody_vouches_for_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = trusted(tmp_path, monkeypatch)
    monkeypatch.delenv("SSL_CERT_FILE")
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with suppress(OSError):
                context.wrap_socket(listener.accept()[0], server_side=True)

        threading.Thread(target=serve, daemon=True).start()
        api = HttpApi(peer(f"https://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(OtherError, match=r"self-signed certificate|local issuer"):
            api.ask("GET", "/")


def test_an_answer_over_tls_is_read_whole_and_its_connection_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = trusted(tmp_path, monkeypatch)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                for _ in range(2):
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)

        threading.Thread(target=serve, daemon=True).start()
        api = HttpApi(peer(f"https://127.0.0.1:{listener.getsockname()[1]}"), seconds=20)
        for _ in range(2):
            assert len(api.expect("GET", "/")) == 100_000
        api.close()


def test_an_address_of_version_six_is_an_address() -> None:
    with closing(socket.socket(socket.AF_INET6)) as taken:
        try:
            taken.bind(("::1", 0))
        except OSError:
            pytest.skip("there is no IPv6 here")
        with pytest.raises(OtherError, match="Connection refused"):
            HttpApi(peer(f"http://[::1]:{taken.getsockname()[1]}")).ask("GET", "/")
