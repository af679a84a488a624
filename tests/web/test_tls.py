from __future__ import annotations

import logging
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import pytest

from compose_agent.web import _connection
from compose_agent.web import server as server_module
from compose_agent.web.response import Response, body_of
from tests.web.wire import connect, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    import trustme

    from compose_agent.web.server import WebServer
    from compose_agent.web.webfile import WebConfigFile
    from tests.web.conftest import Fetch, Serve

    Write = Callable[[str], WebConfigFile]

HELLO = Response.text(200, "hello")
PAIR = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MUTUAL = f"{PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"


@pytest.fixture
def write(tls_dir: Path, web_file: Write) -> Write:
    assert tls_dir
    return web_file


def secured(server: WebServer, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(connect(server), server_hostname="127.0.0.1")


def show(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    names = (
        "wsgi.url_scheme",
        "HTTPS",
        "SSL_PROTOCOL",
        "SSL_CLIENT_VERIFY",
        "SSL_CLIENT_S_DN",
        "SSL_CLIENT_SAN",
    )
    return Response.json(200, {name: environ.get(name) for name in names})(environ, start_response)


def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken_and_seen_by_the_application(
    serve: Serve, fetch: Fetch, write: Write, client_context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    answer = fetch(serve(show, write(PAIR)), context=only(client_context, version))
    assert (
        answer.body
        == (
            b'{"wsgi.url_scheme": "https", "HTTPS": "on", "SSL_PROTOCOL": "%s", "SSL_CLIENT_VERIFY": "NONE", '
            b'"SSL_CLIENT_S_DN": null, "SSL_CLIENT_SAN": null}\n'
        )
        % version.name.replace("_", ".").encode()
    )


def test_a_version_outside_the_file_is_refused(
    serve: Serve, write: Write, client_context: ssl.SSLContext
) -> None:
    server = serve(HELLO, write(f"{PAIR}  min_version: TLS13\n"))
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        secured(server, only(client_context, ssl.TLSVersion.TLSv1_2))


def test_a_cipher_from_the_file_is_used(serve: Serve, write: Write, client_context: ssl.SSLContext) -> None:
    text = f"{PAIR}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n"
    context = only(client_context, ssl.TLSVersion.TLSv1_2)
    with closing(secured(serve(HELLO, write(text)), context)) as sock:
        assert (sock.cipher() or ("",))[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_connection_is_kept_and_pipelined_requests_are_answered(
    serve: Serve, write: Write, client_context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with closing(secured(serve(HELLO, write(PAIR)), only(client_context, version))) as sock:
        sock.sendall(one)
        received = b""
        while not received.endswith(b"hello\n"):
            received += sock.recv(65536)
        sock.sendall(one * 400 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_all(sock).count(b"hello\n") == 401


def test_the_end_of_a_connection_is_told(serve: Serve, write: Write, client_context: ssl.SSLContext) -> None:
    with closing(connect(serve(HELLO, write(PAIR)))) as raw:
        sock = client_context.wrap_socket(raw, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        with closing(sock):
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert read_all(sock).endswith(b"hello\n")


def test_big_bodies_pass_whole(
    serve: Serve, fetch: Fetch, write: Write, client_context: ssl.SSLContext
) -> None:
    def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return Response(200, body_of(environ))(environ, start_response)

    body = bytes(range(256)) * 3900
    server = serve(echo, write(PAIR))
    assert fetch(server, method="POST", body=body, context=client_context).body == body


def test_silent_clients_and_half_handshakes_hold_no_thread(
    serve: Serve, fetch: Fetch, write: Write, client_context: ssl.SSLContext
) -> None:
    server = serve(HELLO, write(PAIR), threads=2)
    with ExitStack() as stack:
        for number in range(20):
            sock = stack.enter_context(closing(connect(server)))
            sock.sendall(b"\x16\x03\x01\x02\x00\x01" if number % 2 else b"")
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda _: fetch(server, context=client_context), range(50))
            assert [answer.status for answer in answers] == [200] * 50


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_half_heads_hold_no_thread(
    serve: Serve,
    fetch: Fetch,
    write: Write,
    client_context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    *,
    eventually: Callable[[Callable[[], bool]], None],
    version: ssl.TLSVersion,
) -> None:
    monkeypatch.setattr(_connection, "HEADER_SECONDS", 600.0)
    server = serve(HELLO, write(PAIR), threads=2)
    http = server._http
    assert http is not None
    with ExitStack() as stack:
        for _ in range(100):
            sock = stack.enter_context(closing(secured(server, only(client_context, version))))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        eventually(lambda: sum(conn.rfile.begun for conn in list(http._open)) == 100)
        assert [fetch(server, context=client_context).status for _ in range(10)] == [200] * 10


def test_a_half_head_is_told_that_it_was_too_slow(
    serve: Serve, write: Write, client_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(server_module._HttpServer, "expiration_interval", 0.05)
    with closing(secured(serve(HELLO, write(PAIR)), client_context)) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        assert read_all(sock).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_handshake_that_stops_is_closed(
    serve: Serve, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "HANDSHAKE_SECONDS", 0.2)
    monkeypatch.setattr(server_module._HttpServer, "expiration_interval", 0.05)
    with closing(connect(serve(HELLO, write(PAIR)))) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00")
        assert sock.recv(1) == b""


def test_a_handshake_that_trickles_is_given_up(
    serve: Serve, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "HANDSHAKE_SECONDS", 0.2)
    with closing(connect(serve(HELLO, write(PAIR)))) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00")
        sock.settimeout(0.05)
        # Bytes of a ClientHello that never ends, until the server has had enough.
        assert any(is_closed(sock) for _ in range(200))


def is_closed(sock: socket.socket) -> bool:
    with suppress(ConnectionError):  # also when it was closed just before the next byte
        try:
            return sock.recv(1) == b""
        except TimeoutError:
            sock.sendall(b"\x00")
            return False
    return True


def test_plain_http_on_a_tls_port_is_answered_in_plain_http(
    serve: Serve, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(HELLO, write(PAIR))
    with closing(connect(server)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_all(sock) == (
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        )
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_garbage_on_a_tls_port_makes_no_noise(
    serve: Serve, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(connect(serve(HELLO, write(PAIR)))) as sock:
        sock.sendall(b"SSH-2.0-bot\r\n")
        sock.shutdown(socket.SHUT_WR)
        read_all(sock)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def client_with(ca: trustme.CA, issuer: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    certificate = issuer.issue_cert(*names, common_name="prometheus", organization_name="Example")
    certificate.configure_cert(context)
    return context


def is_let_in(server: WebServer, context: ssl.SSLContext) -> bool:
    # With TLS 1.3 a client hears of the refusal only when it reads.
    try:
        with closing(secured(server, context)) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"200 OK" in read_all(sock)
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ("NoClientCert", (True, True, True)),
        ("RequestClientCert", (True, True, True)),
        ("RequireAnyClientCert", (False, False, True)),
        ("VerifyClientCertIfGiven", (True, False, True)),
        ("RequireAndVerifyClientCert", (False, False, True)),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_without_with_a_foreign_and_with_a_good_certificate_the_file_decides(
    serve: Serve,
    write: Write,
    clients: tuple[ssl.SSLContext, ...],
    *,
    auth: str,
    expected: tuple[bool, ...],
    version: ssl.TLSVersion,
) -> None:
    authorities = "" if auth == "NoClientCert" else "  client_ca_file: ca.crt\n"
    server = serve(HELLO, write(f"{PAIR}  client_auth_type: {auth}\n{authorities}"))
    assert tuple(is_let_in(server, only(client, version)) for client in clients) == expected


@pytest.fixture
def clients(
    ca: trustme.CA, other_ca: trustme.CA, client_context: ssl.SSLContext
) -> tuple[ssl.SSLContext, ...]:
    """Return one without a certificate, one with that of a foreign authority, one with a good one."""
    return client_context, client_with(ca, other_ca, "a.example"), client_with(ca, ca, "a.example")


def test_the_application_sees_whose_certificate_it_is(
    serve: Serve, fetch: Fetch, write: Write, ca: trustme.CA
) -> None:
    body = fetch(serve(show, write(MUTUAL)), context=client_with(ca, ca, "a.example", "10.0.0.1")).body
    assert b'"SSL_CLIENT_VERIFY": "SUCCESS"' in body
    assert b'"SSL_CLIENT_S_DN": "O=Example,' in body
    assert b"CN=prometheus" in body
    assert b'"SSL_CLIENT_SAN": "DNS:a.example,IP Address:10.0.0.1"' in body


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["prometheus.example"], True),
        (["10.0.0.1"], True),
        (["2001:db8::1"], True),
        (["other.example"], False),
    ],
)
def test_only_names_on_the_list_are_let_in(
    serve: Serve, write: Write, ca: trustme.CA, names: list[str], expected: bool
) -> None:
    allowed = '  client_allowed_sans: [prometheus.example, 10.0.0.1, "2001:db8::1"]\n'
    assert is_let_in(serve(HELLO, write(MUTUAL + allowed)), client_with(ca, ca, *names)) is expected


def test_a_renewed_certificate_is_served_without_a_restart(
    serve: Serve, write: Write, tls_dir: Path, other_ca: trustme.CA, client_context: ssl.SSLContext
) -> None:
    server = serve(HELLO, write(PAIR))
    with closing(secured(server, client_context)) as old:
        renewed = other_ca.issue_cert("127.0.0.1")
        renewed.private_key_and_cert_chain_pem.write_to_path(tls_dir / "server.crt")
        renewed.private_key_pem.write_to_path(tls_dir / "server.key")
        with pytest.raises(ssl.SSLCertVerificationError):
            secured(server, client_context)
        other_ca.configure_trust(client_context)
        with closing(secured(server, client_context)) as fresh:
            assert fresh.getpeercert(binary_form=True) != old.getpeercert(binary_form=True)
        old.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_all(old).endswith(b"hello\n")


def test_an_authority_that_is_replaced_is_in_force_at_once(
    serve: Serve, write: Write, tls_dir: Path, ca: trustme.CA, other_ca: trustme.CA
) -> None:
    server = serve(HELLO, write(MUTUAL))
    assert not is_let_in(server, client_with(ca, other_ca, "a.example"))
    other_ca.cert_pem.write_to_path(tls_dir / "ca.crt")
    assert is_let_in(server, client_with(ca, other_ca, "a.example"))
    assert not is_let_in(server, client_with(ca, ca, "a.example"))


def test_a_broken_certificate_leaves_the_old_one_in_use(
    serve: Serve, fetch: Fetch, write: Write, tls_dir: Path, client_context: ssl.SSLContext
) -> None:
    web = write(PAIR)
    server = serve(HELLO, web)
    (tls_dir / "server.crt").write_text("broken")
    assert fetch(server, context=client_context).status == 200
    assert "holds no certificate" in str(web.error)
