from __future__ import annotations

import http.client
import ssl
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import bcrypt
import pytest
import trustme

from compose_agent.address import Address
from compose_agent.web.server import Limits, WebServer
from compose_agent.web.webfile import WebConfigFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from wsgiref.types import WSGIApplication

# What bounded polling in the tests may take on a loaded machine.
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


class Serve(Protocol):
    def __call__(
        self, app: WSGIApplication, web: WebConfigFile | None = None, threads: int = 4
    ) -> WebServer: ...


class Fetch(Protocol):
    def __call__(
        self,
        server: WebServer,
        path: str = "/",
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Answer: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(app: WSGIApplication, web: WebConfigFile | None = None, threads: int = 4) -> WebServer:
            server = WebServer(Address("127.0.0.1", 0), app, web=web, limits=Limits(threads, 4096, 1_000_000))
            return stack.enter_context(server)

        yield start


@pytest.fixture
def fetch() -> Fetch:
    def get(
        server: WebServer,
        path: str = "/",
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Answer:
        with closing(client_of(server, context)) as client:
            client.request(method, path, body, headers or {})
            answer = client.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))

    return get


def client_of(server: WebServer, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    assert isinstance(server.address, Address)
    host, port, timeout = "127.0.0.1", server.address.port, PATIENCE_SECONDS
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def other_ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_dir(tmp_path: Path, ca: trustme.CA) -> Path:
    """Return a folder with server.crt, server.key and ca.crt."""
    certificate = ca.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    ca.cert_pem.write_to_path(tmp_path / "ca.crt")
    return tmp_path


@pytest.fixture
def client_context(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def secret_hash() -> str:
    """Return the bcrypt hash of the password "secret", as cheap as can be."""
    return bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


@pytest.fixture
def web_file(tmp_path: Path) -> Callable[[str], WebConfigFile]:
    def write(text: str) -> WebConfigFile:
        path = tmp_path / "web.yml"
        path.write_text(text)
        return WebConfigFile(path)

    return write


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.01)

    return wait
