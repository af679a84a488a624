"""The cables of a LAN, with real interfaces and rules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.lan import Cable, Lan
from lab.sandbox import Sandbox

pytestmark = pytest.mark.engine

_SERVER = """
import socket
server = socket.create_server(("192.0.2.1", 80))
print("READY", flush=True)
while True:
    server.accept()
"""
_CLIENT = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"


@pytest.fixture
def host() -> Iterator[tuple[Sandbox, Cable]]:
    with ExitStack() as held:
        lan = held.enter_context(Lan())
        sandbox = Sandbox(lan.scratch)
        held.callback(sandbox.close)
        server = subprocess.Popen([*lan.enter(), sys.executable, "-c", _SERVER], stdout=subprocess.PIPE)
        held.callback(server.wait)
        held.callback(server.kill)
        assert server.stdout is not None
        held.callback(server.stdout.close)
        assert server.stdout.readline() == b"READY\n"
        yield sandbox, lan.attach(sandbox.pid)


def _connects(sandbox: Sandbox) -> str:
    done = subprocess.run(
        [*sandbox.enter(), sys.executable, "-c", _CLIENT], capture_output=True, text=True, check=False
    )
    return done.stderr.strip().rpartition("\n")[2].partition(":")[0] or "yes"


def test_a_cable_is_pulled_and_plugged(host: tuple[Sandbox, Cable]) -> None:
    sandbox, cable = host
    assert _connects(sandbox) == "yes"
    cable.pull()
    assert _connects(sandbox) == "TimeoutError"
    cable.plug()
    assert _connects(sandbox) == "yes"


def test_packets_can_be_answered_with_a_reset(host: tuple[Sandbox, Cable]) -> None:
    sandbox, cable = host
    cable.filter("-p", "tcp", "--dport", "80", "-j", "REJECT", "--reject-with", "tcp-reset")
    assert _connects(sandbox) == "ConnectionRefusedError"
