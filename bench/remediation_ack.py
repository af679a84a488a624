"""How soon Alertmanager has its answer: groups of alerts over HTTP into the journal. Prints JSON.

    python -m bench.remediation_ack --rate 500 --group 50 --seconds 30 --connections 500 [--state-dir DIR]

``steady``: groups come at a fixed rate over kept connections, whether or not the ones before are answered;
the time of an answer counts from the moment at which its group was to come. ``at_once``: so many connections
are opened at the same moment, with a group of one alert each. The receiver is a process of its own, and
answers when the journal has the alerts on disk. ``fsync`` is what the disk itself takes to have 4 KiB.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.remediation_journal import fsyncs
from compose_agent.address import Address
from compose_agent.web.response import routed
from compose_agent.web.server import WebServer
from remediation.journal import Journal, look
from remediation.receiver.auth import Access
from remediation.receiver.doors import Doors
from remediation.receiver.routes import Receiver, webhook_routes

_BODY_LIMIT = 4 << 20
# On a machine that does other things, too.
_ANSWER_SECONDS = 60.0
_START_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and tell by the exit status whether all was taken and is on disk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=500.0, help="alerts a second")
    parser.add_argument("--group", type=int, default=50, help="alerts in a group")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--connections", type=int, default=500, help="that are opened at once")
    parser.add_argument("--state-dir", type=Path, help="on the disk that is to be measured")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.serve:
        serve(asked.serve)
        return 0
    with tempfile.TemporaryDirectory(dir=asked.state_dir) as folder:
        found = measure(Path(folder), asked)
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2))
    return int(found["missing"] > 0 or found["refused"] > 0)


def serve(folder: Path) -> None:
    """Receive alerts into a journal until standard input closes; print the port."""
    with closing(Journal(folder)) as journal:
        receiver = Receiver(journal.receive, Doors(Access(), _BODY_LIMIT))
        with WebServer(Address("127.0.0.1", 0), routed(webhook_routes(receiver))) as server:
            assert isinstance(server.address, Address)
            print(server.address.port, flush=True)
            sys.stdin.read()


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run both parts against one receiver."""
    probe = _spread(fsyncs(folder / "probe"))
    command = [sys.executable, "-m", "bench.remediation_ack", "--serve", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        port = _port(process)
        client = Client(port)
        steady = asyncio.run(client.steady(asked.rate, asked.group, asked.seconds))
        at_once = asyncio.run(client.at_once(asked.connections))
        memory = _peak_memory(process.pid)
        process.communicate()
    with look(folder) as view:
        missing = client.taken - view.inbox_size()
    return {
        "fsync_ms": probe,
        "steady": steady,
        "at_once": at_once,
        "statuses": dict(client.statuses),
        "refused": sum(number for status, number in client.statuses.items() if status != 202),
        "missing": missing,
        "receiver_rss_mib": memory,
    }


class Client:
    """Posts groups of alerts, and counts the answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count()
        self.statuses: Counter[int] = Counter()
        self.taken = 0

    async def steady(self, rate: float, group: int, seconds: float) -> dict[str, Any]:
        """Post groups at a fixed rate; a connection that is free is used again."""
        free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        began, count = time.monotonic(), round(rate * seconds / group)

        async def post(number: int) -> float:
            wanted = began + number * group / rate
            await asyncio.sleep(wanted - time.monotonic())
            connection = free.pop() if free else await asyncio.open_connection("127.0.0.1", self._port)
            await self._exchange(*connection, group)
            free.append(connection)
            return time.monotonic() - wanted

        waits = await asyncio.gather(*map(post, range(count)))
        for _, writer in free:
            writer.close()
        took = time.monotonic() - began
        return {
            "groups": count,
            "alerts_per_second": round(count * group / took, 1),
            "connections": len(free),
            "answered_ms": _spread(waits),
        }

    async def at_once(self, connections: int) -> dict[str, Any]:
        """Open connections all at once, with one alert each."""

        async def post() -> float:
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            await self._exchange(reader, writer, 1)
            writer.close()
            return time.monotonic() - began

        began = time.monotonic()
        waits = await asyncio.gather(*(post() for _ in range(connections)))
        return {
            "connections": connections,
            "seconds": round(time.monotonic() - began, 3),
            "answered_ms": _spread(waits),
        }

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, group: int) -> None:
        body = notification(next(self._numbers), group)
        head = "POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: ([0-9]+)", answer)
            await reader.readexactly(int(length[1]) if length else 0)
        status = int(answer.split(b" ", 2)[1])
        self.statuses[status] += 1
        self.taken += group if status == 202 else 0


def notification(number: int, count: int) -> bytes:
    """Return a group of alerts about as many containers, as Alertmanager sends it."""
    alerts = [
        {
            "status": "firing",
            "labels": {
                "alertname": "ContainerUnhealthy",
                "name": f"shop-web-{place}",
                "id": f"{place:012x}",
                "compose_project": "shop",
                "compose_service": "web",
                "instance": "127.0.0.1:9417",
                "job": "docker",
                "severity": "warning",
            },
            "annotations": {"summary": f"shop-web-{place} is unhealthy"},
            "startsAt": "2026-11-22T15:18:32.401624209Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=docker_container_health",
            "fingerprint": f"{number:08x}{place:08x}",
        }
        for place in range(count)
    ]
    group = {"version": "4", "receiver": "agent", "status": "firing", "groupKey": f"{{}}:{number}"}
    return json.dumps({**group, "alerts": alerts, "truncatedAlerts": 0}).encode()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    alarm = threading.Timer(_START_SECONDS, process.kill)
    alarm.start()
    try:
        return int(process.stdout.readline())
    finally:
        alarm.cancel()


def _peak_memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+([0-9]+) kB", status)
    return round(int(found[1]) / 1024, 1) if found else 0.0


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    shown = {"p50": cuts[49], "p99": cuts[98], "most": max(seconds)}
    return {name: round(value * 1000, 2) for name, value in shown.items()}


if __name__ == "__main__":
    sys.exit(main())
