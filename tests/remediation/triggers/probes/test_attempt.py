from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

import pytest

from compose_agent.dockerd.model import Container
from remediation.triggers.probes.attempt import address_of, attempt
from remediation.triggers.probes.spec import ProbeKind, ProbeSpec
from tests.remediation.triggers.probes.servers import serving

HERE = "127.0.0.1"
SECONDS = 20.0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://192.0.2.1/\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "it answered 404"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", "it answered 503"),
        (b"SSH-2.0-OpenSSH\r\n", "SSH-2.0-OpenSSH"),
        (b"", "Remote end closed connection without response"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\na: " + b"x" * 70_000 + b"\r\n\r\n", "got more than 65536 bytes"),
    ],
)
def test_an_answer_over_http_is_well_from_200_to_399(answer: bytes, said: str) -> None:
    with serving() as server:
        server.answer = answer
        found = attempt(ProbeSpec(ProbeKind.HTTP, server.port, "/health", timeout=SECONDS), HERE)
    assert said in found
    assert bool(found) == bool(said)
    assert server.requests[0].startswith(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:")


def test_a_connection_is_well_over_tcp_and_a_refused_one_is_not() -> None:
    with serving() as server:
        spec = ProbeSpec(ProbeKind.TCP, server.port, timeout=SECONDS)
        assert attempt(spec, HERE) == ""
        server.stop()
        assert attempt(spec, HERE) == "Connection refused"


@pytest.mark.parametrize("drip", [0.0, 0.05])
def test_the_deadline_is_for_all_of_it(drip: float) -> None:
    with serving() as server:
        server.answer = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 90 if drip else None
        server.drip = drip
        began = time.monotonic()
        said = attempt(ProbeSpec(ProbeKind.HTTP, server.port, "/", timeout=0.3), HERE)
        assert said == "no answer within 0.3 s"
        assert time.monotonic() - began < 5


def test_over_ipv6_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        spec = ProbeSpec(ProbeKind.TCP, listener.getsockname()[1], timeout=SECONDS)
        assert attempt(spec, "::1") == ""


NETWORKS = {
    "back": {"IPAddress": "", "GlobalIPv6Address": ""},
    "front": {"IPAddress": "10.0.0.2", "GlobalIPv6Address": "fd00::2"},
    "other": {"IPAddress": "10.1.0.2"},
    "six": {"GlobalIPv6Address": "fd00::9"},
}


@pytest.mark.parametrize(
    ("mode", "network", "expected"),
    [
        ("bridge", "", "10.0.0.2"),
        ("bridge", "other", "10.1.0.2"),
        ("bridge", "six", "fd00::9"),
        ("bridge", "back", ""),
        ("bridge", "gone", ""),
        ("host", "", "127.0.0.1"),
        ("container:owner", "", "10.9.9.9"),
        ("none", "", ""),
    ],
)
def test_where_a_container_is_asked(mode: str, network: str, expected: str) -> None:
    def inspect(container_id: str) -> Mapping[str, Any]:
        if container_id == "owner":
            return {"NetworkSettings": {"Networks": {"x": {"IPAddress": "10.9.9.9"}}}}
        return {"NetworkSettings": {"Networks": {"none": {}} if mode == "none" else NETWORKS}}

    container = Container("c", "c", "x", "", "running", network_mode=mode)
    spec = ProbeSpec(ProbeKind.TCP, 1, network=network)
    assert address_of(container, spec, inspect, local=True) == expected


def test_another_hosts_network_is_not_ours() -> None:
    container = Container("c", "c", "x", "", "running", network_mode="host")
    assert address_of(container, ProbeSpec(ProbeKind.TCP, 1), lambda _: {}, local=False) == ""
