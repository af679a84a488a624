"""Thousands of simulated agents against one manager. Prints JSON.

    python -m bench.fleet_agents --agents 10000 --interval 30 --seconds 60

The manager is a process of its own, as ``compose-agent manager --insecure`` starts it; the agents share
another process, which speaks WebSocket by hand so that it costs less than what it measures. ``joined``: how
long until all have registered, while connections are let in at the manager's rate. ``steady``: heartbeats, a
hundredth of them with a change of health, and meanwhile ``--commands`` to nodes chosen by chance, each of
which says at once that it is done: ``round_trip`` is from the API to that end on disk. ``restart``: the
manager is killed with -9 and started again; how long from its first answer until the last agent is back, with
the pauses of the real ones. ``false_offline`` counts nodes that were called offline although their agents
were there.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import urllib3

from compose_agent.web.localclient import LocalClient
from fleet.agent.conversation import CAPABILITIES
from fleet.agent.pace import Backoff
from fleet.envelopes.command import (
    CAPABILITY,
    COMMAND,
    REPORT,
    Command,
    Report,
    Stage,
    packed,
    unpacked,
)
from fleet.opamp.attributes import Plain, to_attributes
from fleet.opamp.frames import from_frame, to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, CustomMessage, ServerToAgent
from fleet.opamp.uid import new_uid

_START_SECONDS = 60.0
_JOIN_SECONDS = 300.0
_CHANGES = 0.01
_COMMANDS = "/api/v1/commands"
# Of an answer that says nothing but that it is one.
_ANSWER_BYTES = 40
_JITTER = 0.3
_PING, _PONG, _CLOSE, _BINARY = 0x9, 0xA, 0x8, 0x2
_CONFIG = b"exporter.web.listen-address: [':9417']\nlog.level: info\n" * 20
# Chance here spreads, it hides nothing.
_chance = random.Random(1)  # noqa: S311
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and tell by the exit status whether all came and came back and none was called gone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between heartbeats")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady part")
    parser.add_argument("--connect-rate", type=int, default=500)
    parser.add_argument("--commands", type=int, default=200, help="in the steady part, evenly")
    asked = parser.parse_args(argv)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), asked))
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2))
    return int(
        found["false_offline"] > 0 or found["joined"]["missing"] > 0 or found["restart"]["missing"] > 0
    )


async def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run the three parts."""
    found: dict[str, Any] = {"agents": asked.agents, "interval_seconds": asked.interval}
    port = free_port()
    async with manager(folder, asked, port) as process:
        fleet = Fleet(port, asked.agents, asked.interval)
        idle = rss_bytes(process.pid)
        fleet.start()
        found["joined"] = await joined(fleet)
        found["joined"]["rss_mib"] = mib(rss_bytes(process.pid))
        found["joined"]["bytes_per_agent"] = (rss_bytes(process.pid) - idle) // asked.agents
        trips = asyncio.to_thread(round_trips, folder, asked)
        found["steady"], found["round_trip"] = await asyncio.gather(
            steady(fleet, process.pid, asked.seconds), trips
        )
        found["pages_ms"] = await asyncio.to_thread(pages, port)
        before = await asyncio.to_thread(offline, port)
        process.kill()
        while fleet.online:  # noqa: ASYNC110 - a few hundred milliseconds, once
            await asyncio.sleep(0.05)
    async with manager(folder, asked, port) as process:
        found["restart"] = await joined(fleet)
        await asyncio.sleep(min(asked.interval, 15.0))
        found["restart"]["rss_mib"] = mib(rss_bytes(process.pid))
        found["false_offline"] = before + await asyncio.to_thread(offline, port)
        fleet.stop()
    return found


@asynccontextmanager
async def manager(
    folder: Path, asked: argparse.Namespace, port: int
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run a manager on ``port``, and give its process when it answers."""
    command = [sys.executable, "-P", "-m", "compose_agent", "manager", "--insecure", f"--state-dir={folder}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", f"--connect-rate={asked.connect_rate}"]
    command += [f"--run-dir={folder / 'run'}"]
    process = subprocess.Popen([*command, f"--heartbeat-interval={asked.interval:g}s"])  # noqa: ASYNC220 - once
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not await asyncio.to_thread(answers, port):
            assert process.poll() is None, "the manager has ended"
            assert time.monotonic() < deadline, "the manager does not answer"
            await asyncio.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait)


class Fleet:
    """The agents; ``online`` are those that have had an answer on the connection they have."""

    def __init__(self, port: int, count: int, interval: float, kind: type[Agent] | None = None) -> None:
        self.port, self.interval = port, interval
        self.online: set[int] = set()
        self.lost: list[int] = []
        self.latencies: list[float] = []
        self.refused = 0
        self.agents = [(kind or Agent)(self, number) for number in range(count)]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Have all of them connect, now."""
        self._tasks = [asyncio.create_task(agent.run()) for agent in self.agents]

    def stop(self) -> None:
        """End them."""
        for task in self._tasks:
            task.cancel()


class Agent:
    """One simulated agent; kinds of it may ``take`` what the manager says."""

    capabilities: int = CAPABILITIES
    changes = _CHANGES  # the share of heartbeats with another health

    def __init__(self, fleet: Fleet, number: int) -> None:
        self._fleet = fleet
        self._number = number
        self._uid = new_uid()
        self._sequence = 0
        self._backoff = Backoff()
        self._sent_at = 0.0

    async def run(self) -> None:
        """Connect again and again."""
        while True:
            pause: float | None = None
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._fleet.port, limit=4096)
                try:
                    pause = await self._session(reader, writer)
                finally:
                    writer.close()
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                pass
            if self._number in self._fleet.online:
                self._fleet.online.discard(self._number)
                self._fleet.lost.append(self._number)
            await asyncio.sleep(self._backoff.next(pause))

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float | None:
        if (pause := await self._handshake(reader, writer)) is not None:
            self._fleet.refused += 1
            return pause
        self._send(writer, self._message(described=True))
        beating = asyncio.create_task(self._beat(writer))
        try:
            while True:
                code = await self._receive(reader, writer)
                if code == _CLOSE:
                    return None
                if code == _BINARY:
                    self._fleet.latencies.append(time.perf_counter() - self._sent_at)
                    self._fleet.online.add(self._number)
                    self._backoff.reset()
        finally:
            beating.cancel()

    async def _handshake(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float | None:
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /v1/opamp HTTP/1.1\r\nHost: manager\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30.0)).decode().lower()
        if head.startswith("http/1.1 101"):
            return None
        after = [line.partition(":")[2] for line in head.split("\r\n") if line.startswith("retry-after")]
        return float(after[0]) if after else 1.0

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while True:
            interval = self._fleet.interval
            await asyncio.sleep(interval * _chance.uniform(1 - _JITTER, 1 + _JITTER))
            self._send(writer, self._message(described=False))

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack("!H", await reader.readexactly(2))[0]
        data = await reader.readexactly(size)
        if first & 0xF == _PING:
            writer.write(masked(_PONG, data))
        elif first & 0xF == _BINARY:
            self.take(data, writer)
        return first & 0xF

    def take(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        """Take what the manager says, which has been counted already: a command is done at once."""
        if len(frame) > _ANSWER_BYTES:
            self._obey(writer, from_frame(ServerToAgent, frame).custom_message)

    def _send(self, writer: asyncio.StreamWriter, message: AgentToServer) -> None:
        self._sent_at = time.perf_counter()
        writer.write(masked(_BINARY, to_frame(message)))

    def _obey(self, writer: asyncio.StreamWriter, order: CustomMessage) -> None:
        if order.type == COMMAND:
            done = Report(id=unpacked(Command, order.data).id, stage=Stage.DONE)
            message = self._message(described=False)
            message.custom_message.capability, message.custom_message.type = CAPABILITY, REPORT
            message.custom_message.data = packed(done)
            self._send(writer, message)

    def _message(self, *, described: bool) -> AgentToServer:
        message = AgentToServer(
            instance_uid=self._uid, sequence_num=self._sequence, capabilities=self.capabilities
        )
        self._sequence += 1
        if described:
            self._describe(message)
        elif _chance.random() < self.changes:
            message.health.healthy = _chance.random() < 0.5
        return message

    def _describe(self, message: AgentToServer) -> None:
        name = f"node-{self._number:05}"
        identifying = {"service.name": "compose-agent", "service.version": "0.1.0"}
        others: dict[str, Plain | None] = {
            "host.name": name,
            "host.id": f"ENGINE:{name}",
            "host.ip": [f"10.0.{self._number // 250}.{self._number % 250}"],
            "compose_agent.node.id": name,
            "compose_agent.role": "worker",
            "compose_agent.tags": ["simulated", f"rack-{self._number % 40}"],
            "compose_agent.heartbeat.interval_seconds": self._fleet.interval,
            "compose_agent.listener.exporter": "http://0.0.0.0:9417",
        }
        message.agent_description.identifying_attributes.extend(to_attributes(identifying))
        message.agent_description.non_identifying_attributes.extend(to_attributes(others))
        message.custom_capabilities.capabilities.append(CAPABILITY)
        message.health.healthy = True
        for role in ("exporter", "logs", "remediation"):
            message.health.component_health_map[role].healthy = True
        message.effective_config.config_map.config_map["compose-agent.yml"].body = _CONFIG


def masked(opcode: int, data: bytes) -> bytes:
    """Return a frame of a client; a mask of zeros is one, and leaves the data as it is."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([0x80 | opcode]) + length + bytes(4) + data


async def joined(fleet: Fleet) -> dict[str, Any]:
    """Wait until every agent has been answered."""
    began, refused = time.perf_counter(), fleet.refused
    while len(fleet.online) < len(fleet.agents) and time.perf_counter() - began < _JOIN_SECONDS:  # noqa: ASYNC110 - it only looks
        await asyncio.sleep(0.05)
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "missing": len(fleet.agents) - len(fleet.online),
        "told_to_come_again": fleet.refused - refused,
    }


async def steady(fleet: Fleet, pid: int, seconds: float) -> dict[str, Any]:
    """Let it run, and look at what it costs."""
    fleet.latencies.clear()
    began, cpu = time.perf_counter(), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    return {
        "seconds": round(took, 1),
        "messages": len(fleet.latencies),
        "cpu_share_of_a_core": round((cpu_seconds(pid) - cpu) / took, 3),
        "rss_mib": mib(rss_bytes(pid)),
        "lost_connections": len(fleet.lost),
        "answer_ms": spread(fleet.latencies),
    }


def round_trips(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Give commands evenly over the time, and return how long they took by the manager's own clock."""
    client = LocalClient(folder / "run", "manager")
    given = []
    for _ in range(asked.commands):
        order = {"nodes": [f"node-{_chance.randrange(asked.agents):05}"], "verb": "inspect"}
        _, answer = client.request("POST", _COMMANDS, json.dumps(order).encode())
        given.append(json.loads(answer)["commands"][0]["id"])
        time.sleep(asked.seconds / asked.commands)
    rows = [client.get_json(f"{_COMMANDS}/{command}") for command in given]
    ended = [row["ended"] - row["issued"] for row in rows if row["stage"] == "done"]
    return {"commands": len(given), "done": len(ended), "ms": spread(ended)}


def pages(port: int) -> dict[str, float]:
    """Return how long each page takes, the median of five."""
    paths = ("/", "/?q=rack-7", "/api/v1/nodes?limit=10000", "/api/v1/http_sd", "/metrics")
    return {path: round(statistics.median(took(port, path) for _ in range(5)) * 1000, 1) for path in paths}


def took(port: int, path: str) -> float:
    began = time.perf_counter()
    answer = urllib3.request("GET", f"http://127.0.0.1:{port}{path}", retries=False)
    assert answer.status == 200, (path, answer.status)
    return time.perf_counter() - began


def offline(port: int) -> int:
    """Return how often a node was called offline."""
    text = urllib3.request("GET", f"http://127.0.0.1:{port}/metrics", retries=False).data.decode()
    name = 'fleet_node_transitions_total{state="offline"}'
    return int(float(next(line.split()[1] for line in text.splitlines() if line.startswith(name))))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    ordered = sorted(values) or [0.0]
    at = {"p50": 0.5, "p99": 0.99}
    return {name: round(ordered[int(share * (len(ordered) - 1))] * 1000, 2) for name, share in at.items()}


def answers(port: int) -> bool:
    try:
        return urllib3.request("GET", f"http://127.0.0.1:{port}/-/ready", retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def free_port() -> int:

    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def mib(size: int) -> float:
    return round(size / 2**20, 1)


if __name__ == "__main__":
    sys.exit(main())
