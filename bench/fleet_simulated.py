"""Agents by the thousand in one process, speaking WebSocket by hand so as to cost less than a manager."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import ssl
import struct
import time

from fleet.agent.conversation import CAPABILITIES
from fleet.agent.pace import Backoff
from fleet.opamp.attributes import Plain, to_attributes
from fleet.opamp.frames import to_frame
from fleet.opamp.opamp_pb2 import AgentToServer
from fleet.opamp.uid import new_uid

_CHANGES = 0.01
_JITTER = 0.3
_PING, _PONG, _CLOSE, _BINARY = 0x9, 0xA, 0x8, 0x2
_CONFIG = b"exporter.web.listen-address: [':9417']\nlog.level: info\n" * 20
_HANDSHAKE_SECONDS = 30.0
# Chance here spreads, it hides nothing.
_chance = random.Random(1)  # noqa: S311


class Fleet:
    """The agents; ``online`` are those that have had an answer on the connection they have.

    Of another ``kind`` they do more with what the manager says. With ``tls`` they come over TLS, and with
    ``token`` they say so.
    """

    def __init__(
        self,
        port: int,
        count: int,
        interval: float,
        kind: type[Agent] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        token: str = "",
    ) -> None:
        self.port, self.interval, self.tls = port, interval, tls
        self.authorization = f"Authorization: Bearer {token}\r\n" if token else ""
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
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._fleet.port, limit=4096, ssl=self._fleet.tls
                )
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
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"{self._fleet.authorization}\r\n".encode()
        )
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HANDSHAKE_SECONDS)).decode().lower()
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
        """Take what the manager says; it has been counted already."""

    def _send(self, writer: asyncio.StreamWriter, message: AgentToServer) -> None:
        self._sent_at = time.perf_counter()
        writer.write(masked(_BINARY, to_frame(message)))

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
        message.health.healthy = True
        for role in ("exporter", "logs", "remediation"):
            message.health.component_health_map[role].healthy = True
        message.effective_config.config_map.config_map["compose-agent.yml"].body = _CONFIG


def masked(opcode: int, data: bytes) -> bytes:
    """Return a frame of a client; a mask of zeros is one, and leaves the data as it is."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([0x80 | opcode]) + length + bytes(4) + data
