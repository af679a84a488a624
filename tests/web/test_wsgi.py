from __future__ import annotations

import base64
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import bcrypt
import pytest

from compose_agent.address import Address
from compose_agent.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from compose_agent.web.webfile import WebConfigFile
    from tests.web.conftest import Fetch, Serve

    Write = Callable[[str], WebConfigFile]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def who(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    user = environ.get("REMOTE_USER", "nobody")
    return Response.text(200, user, ("X-Frame-Options", "sameorigin"))(environ, start_response)


def test_without_a_user_the_answer_is_401_and_asks_for_one(
    serve: Serve, fetch: Fetch, web_file: Write, secret_hash: str
) -> None:
    server = serve(who, web_file(f"basic_auth_users: {{alice: {secret_hash}}}\n"))
    refused = fetch(server)
    assert (refused.status, refused.body) == (401, b"unauthorized\n")
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert fetch(server, headers=basic("alice", "wrong")).status == 401
    assert fetch(server, headers=basic("alice", "secret")).body == b"alice\n"


def test_a_client_cannot_name_itself_the_user(serve: Serve, fetch: Fetch) -> None:
    assert fetch(serve(who), headers={"Remote-User": "root", "REMOTE_USER": "root"}).body == b"nobody\n"


def test_a_changed_password_needs_no_restart(
    serve: Serve, fetch: Fetch, web_file: Write, secret_hash: str
) -> None:
    web = web_file(f"basic_auth_users: {{alice: {secret_hash}}}\n")
    server = serve(who, web)
    assert fetch(server, headers=basic("alice", "secret")).status == 200
    changed = bcrypt.hashpw(b"changed", bcrypt.gensalt(4)).decode()
    web.path.write_text(f"basic_auth_users:\n  alice: {changed}\n")
    assert fetch(server, headers=basic("alice", "secret")).status == 401
    assert fetch(server, headers=basic("alice", "changed")).status == 200


def test_headers_come_from_the_file_then_the_application_then_the_defaults(
    serve: Serve, fetch: Fetch, web_file: Write
) -> None:
    web = web_file("http_server_config: {headers: {X-XSS-Protection: 0}}\n")
    server = serve(who, web)
    headers = fetch(server).headers
    assert headers["X-Frame-Options"] == "sameorigin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-XSS-Protection"] == "0"
    web.path.write_text("http_server_config:\n  headers:\n    X-Frame-Options: deny\n")
    headers = fetch(server).headers
    assert headers["X-Frame-Options"] == "deny"
    assert "X-XSS-Protection" not in headers


def test_refusals_have_the_headers_too(serve: Serve, fetch: Fetch, web_file: Write, secret_hash: str) -> None:
    text = "http_server_config: {headers: {Strict-Transport-Security: max-age=60}}\n"
    server = serve(who, web_file(f"{text}basic_auth_users: {{alice: {secret_hash}}}\n"))
    assert fetch(server).headers["Strict-Transport-Security"] == "max-age=60"


def test_above_the_rate_the_answer_is_429(serve: Serve, fetch: Fetch, web_file: Write) -> None:
    server = serve(who, web_file("rate_limit: {interval: 1h, burst: 2}\n"))
    answers = [fetch(server) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "1"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_refused_body_is_not_taken_for_the_next_request(
    serve: Serve, web_file: Write, secret_hash: str, chunked: bool
) -> None:
    server = serve(who, web_file(f"basic_auth_users: {{alice: {secret_hash}}}\n"))
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n" * 2000
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    assert isinstance(server.address, Address)
    with closing(socket.create_connection(("127.0.0.1", server.address.port), timeout=10)) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n%s" % (length, sent))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 401 ") == 2
