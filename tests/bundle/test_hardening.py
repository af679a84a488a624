"""What each container of the bundle may do, as the Engine and the kernel say it, printed as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container

from lab.bundle import Bundle

pytestmark = pytest.mark.engine

# Alone among all: root without capabilities, because Docker's folders of logs are closed to everyone else.
ROOT_SERVICE = "logs"
MIB = 2**20
# Bits of SETGID and SETUID, which the broker has until it has become its own user.
BROKER_BOUND = 1 << 6 | 1 << 7


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the audit."""

    service: str
    user: int
    effective: int
    bounding: int
    new_privileges: bool
    read_only: bool
    memory_mib: int
    cpus: float
    pids: int
    networks: str
    published: str
    socket: bool


@pytest.fixture(scope="module")
def audit(demo: Bundle) -> list[Row]:
    internal = {network.name: network.attrs["Internal"] for network in demo.client.networks.list()}
    rows = [row_of(container, internal, demo.name) for container in demo.containers()]
    rows.sort(key=lambda row: row.service)
    print("\n" + table(rows))  # noqa: T201 - the audit; shown with -rP or -s
    return rows


def row_of(container: Container, internal: dict[str, bool], project: str) -> Row:
    host, state = container.attrs["HostConfig"], container.attrs["State"]
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{state['Pid']}/status").read_text().splitlines()
        if ":\t" in line
    )
    networks = container.attrs["NetworkSettings"]["Networks"]
    ports = container.attrs["NetworkSettings"]["Ports"] or {}
    return Row(
        service=container.labels["com.docker.compose.service"],
        user=int(status["Uid"].split()[1]),
        effective=int(status["CapEff"], 16) | int(status["CapPrm"], 16),
        bounding=int(status["CapBnd"], 16),
        new_privileges=status["NoNewPrivs"] != "1",
        read_only=host["ReadonlyRootfs"],
        memory_mib=host["Memory"] // MIB,
        cpus=host["NanoCpus"] / 1e9,
        pids=host["PidsLimit"] or 0,
        networks=",".join(
            sorted(
                name.removeprefix(f"{project}_") + ("" if internal.get(name) else "!") for name in networks
            )
        ),
        published=",".join(
            sorted({binding["HostIp"] for bindings in ports.values() for binding in bindings or []})
        ),
        socket="docker.sock" in json.dumps(container.attrs["Mounts"]),
    )


def table(rows: list[Row]) -> str:
    """Return the rows as text; a network with ! is not internal."""
    lines = [
        [field.name for field in fields(Row)],
        *([shown(row, f.name) for f in fields(Row)] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines
    )


def shown(row: Row, name: str) -> str:
    value: Any = getattr(row, name)
    if name in ("effective", "bounding"):
        return f"{value:x}"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def test_nobody_has_a_capability_or_can_get_one(audit: list[Row]) -> None:
    assert [row.service for row in audit if row.effective or row.new_privileges] == []
    bounds = {row.service: row.bounding for row in audit if row.bounding}
    assert bounds == {"broker": BROKER_BOUND}


def test_nobody_but_the_log_forwarder_is_root(audit: list[Row]) -> None:
    assert {row.service for row in audit if row.user == 0} == {ROOT_SERVICE}


def test_no_root_can_be_written(audit: list[Row]) -> None:
    assert [row.service for row in audit if not row.read_only] == []


def test_everybody_is_limited(audit: list[Row]) -> None:
    assert [row.service for row in audit if not (row.memory_mib and row.cpus and row.pids)] == []


def test_nobody_but_the_broker_mounts_the_socket(audit: list[Row]) -> None:
    assert {row.service for row in audit if row.socket} == {"broker"}


def test_who_publishes_no_port_and_calls_nobody_is_on_internal_networks_only(audit: list[Row]) -> None:
    assert {row.service for row in audit if "!" not in row.networks} >= {"broker", "logs", "demo-web"}
    assert {row.published for row in audit} <= {"", "127.0.0.1"}


def test_the_broker_meets_prometheus_alone(audit: list[Row]) -> None:
    assert {row.service for row in audit if "broker" in row.networks} == {"broker", "prometheus"}
