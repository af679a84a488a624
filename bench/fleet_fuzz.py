"""Send damaged and random messages to a manager and to an agent, and see what becomes of them. Prints JSON.

    python -m bench.fleet_fuzz 1000000 --seed 1

Seven tenths of the messages come to the manager over WebSocket, one tenth over HTTP (some packed, some packed
wrongly, some that unpack to a hundred megabytes), two tenths to an agent; all within this process. Besides,
some go to a manager over real sockets, together with what is no WebSocket, and some to the link of an agent.
Whatever is sent, nothing may raise, every message must have an answer that is one, what is kept must stay
within bounds, and afterwards every page, the API, the metrics and the store must work, and an honest agent be
online. Messages follow from the seed and their number.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import urllib3
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from bench.fuzzed_messages import body, frame
from bench.fuzzed_replies import agent_in_process, agent_over_sockets
from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Given, resolve
from compose_agent.role import ConfigState
from fleet.manager.app import App
from fleet.manager.role import ManagerRole
from fleet.opamp.attributes import to_attributes
from fleet.opamp.frames import MalformedMessage, from_body, from_frame, to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent
from fleet.opamp.uid import new_uid

# How many nodes the manager may have, so that there are more uids than room.
MOST_NODES = 500
# Frames on one connection; less than there are, so that connections come and go as well.
_FRAMES = 50
_OVER_SOCKETS = 0.01
_RIGHT_STATUSES = frozenset({200, 400, 413, 415})
_CLOSE_CODES = (1000, 1001, 1005, 1006, 1011)
_SHOWN, _LONGEST_SHOWN = 20, 500
_ANSWER_SECONDS = 120.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Caches fill, allocators keep what was once needed; a leak of a hundred bytes a message would be more.
MOST_GROWTH_MIB = 64.0
_VIEWS = (
    "/",
    "/?q=x",
    "/api/v1/nodes?limit=10000",
    "/api/v1/nodes?sort=heard&state=online",
    "/api/v1/http_sd",
    "/metrics",
)


@dataclass
class Found:
    """What was answered, and which messages were answered wrongly or raised something."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[int, str]] = field(default_factory=list)


class Errors(logging.Handler):
    """Keeps what is logged as an error: nothing that a peer sends is one of ours."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.found.append(record.getMessage()[:_LONGEST_SHOWN])


class Caller:
    """One WebSocket connection, as ASGI has it, over which the next ``frames`` go."""

    def __init__(self, frames: Iterator[tuple[int, bytes]], found: Found) -> None:
        self._frames = frames
        self._found = found
        self._greeted = self._closed = False
        self.number = -1

    async def receive(self) -> dict[str, Any]:
        """Give the application the handshake, the frames, and the end."""
        if not self._greeted:
            self._greeted = True
            return {"type": "websocket.connect"}
        drawn = None if self._closed else next(self._frames, None)
        if drawn is None:
            return {"type": "websocket.disconnect", "code": _CLOSE_CODES[self.number % len(_CLOSE_CODES)]}
        self.number, data = drawn
        return {"type": "websocket.receive", "bytes": data}

    async def send(self, event: Mapping[str, Any]) -> None:
        """Look at what the application answers."""
        if event["type"] == "websocket.close":
            self._closed = True
            self._found.answers["closed"] += 1
        elif event["type"] == "websocket.send":
            kind = _kind_of(event["bytes"])
            self._found.answers[kind] += 1
            if kind == "none":
                self._found.wrong.append((self.number, "an answer that is none"))


async def over_websocket(app: App, seed: int, numbers: Sequence[int], found: Found) -> None:
    """Send frames, ``_FRAMES`` on each connection."""
    frames = ((number, frame("agent", seed, number)) for number in numbers)
    while (first := next(frames, None)) is not None:
        found.answers["connections"] += 1
        caller = Caller(_chained(first, islice(frames, _FRAMES - 1)), found)
        scope = {"type": "websocket", "path": "/v1/opamp", "headers": [], "client": ("192.0.2.1", 1)}
        try:
            await app(scope, caller.receive, caller.send)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            found.wrong.append((caller.number, repr(error)))


def _chained(first: tuple[int, bytes], others: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from others


async def over_http(app: App, seed: int, numbers: Sequence[int], found: Found) -> None:
    """Send requests."""
    for number in numbers:
        data, headers = body(seed, number)
        try:
            status, answer = await _request(app, data, headers)
            found.answers[f"status {status}"] += 1
            if status not in _RIGHT_STATUSES:
                found.wrong.append((number, f"status {status}"))
            if status == 200 and headers["accept-encoding"] != "gzip":
                from_body(ServerToAgent, answer)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            found.wrong.append((number, repr(error)))


async def _request(app: App, data: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    half = len(data) // 2
    parts = iter(({"body": data[:half], "more_body": True}, {"body": data[half:], "more_body": False}))
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", **next(parts)}

    async def send(event: Mapping[str, Any]) -> None:
        sent.append(event)

    given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/agent", "headers": given, "client": ("192.0.2.2", 1)}
    await app(scope, receive, send)
    return int(sent[0]["status"]), b"".join(each.get("body", b"") for each in sent)


def over_sockets(url: str, seed: int, numbers: Sequence[int], found: Found) -> None:
    """Send frames over real connections, of which every third ends with what is no WebSocket."""
    left = iter(numbers)
    for number in left:
        found.answers["real connections"] += 1
        with suppress(WebSocketException, OSError), connect(url, compression=None) as connection:
            for at in [number, *islice(left, _FRAMES)]:
                connection.send(frame("agent", seed, at))
                answer = connection.recv(_ANSWER_SECONDS)
                found.answers["real " + _kind_of(answer)] += 1
            if number % 3 == 0:
                connection.socket.sendall(frame("agent", seed, number))


def _kind_of(data: bytes | str) -> str:
    try:
        reply = from_frame(ServerToAgent, data.encode() if isinstance(data, str) else data)
    except MalformedMessage:
        return "none"
    return "error" if reply.HasField("error_response") else "answer"


@contextmanager
def managing(folder: Path) -> Iterator[ManagerRole]:
    """Run a manager that lets everybody in, on a free port."""
    given = {
        "state-dir": str(folder),
        "manager.insecure": "true",
        "manager.web.listen-address": "127.0.0.1:0",
        "manager.connect-rate": "1000000",
        "manager.most-nodes": str(MOST_NODES),
    }
    layer = {key: Given(value, "bench", named=True) for key, value in given.items()}
    role = ManagerRole(resolve(SCHEMA, [layer]), ConfigState())
    role.start()
    try:
        yield role
    finally:
        role.stop()


def manager_campaign(folder: Path, seed: int, websocket: range, http: range, real: range) -> dict[str, Any]:
    """Send everything to one manager, and see afterwards whether it is well."""
    found = Found()
    with managing(folder) as role:
        url = role.listeners()[0]
        memory = []
        for ws_part, http_part in zip(_fifths(websocket), _fifths(http), strict=True):
            asyncio.run(over_websocket(role.app, seed, ws_part, found))
            asyncio.run(over_http(role.app, seed, http_part, found))
            memory.append(rss_mib())
        over_sockets(url.replace("http", "ws", 1) + "/agent", seed, real, found)
        nodes = _get(f"{url}/api/v1/nodes?limit=1").json()["total"]
        views = {path: _status(url + path) for path in _VIEWS}
        online = _is_honest_agent_online(url)
    with managing(folder) as role:  # what was written can be read
        views["after a restart"] = _status(f"{role.listeners()[0]}/api/v1/nodes")
    return {
        "answers": dict(sorted(found.answers.items())),
        "wrong": found.wrong[:_SHOWN],
        "wrong_in_all": len(found.wrong),
        "nodes": nodes,
        "views": views,
        "honest_agent_online": online,
        "rss_mib": {"after_a_fifth": memory[0], "at_the_end": memory[-1]},
    }


def _fifths(numbers: range) -> list[range]:
    return [numbers[len(numbers) * part // 5 : len(numbers) * (part + 1) // 5] for part in range(5)]


def _get(url: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, retries=False, timeout=_ANSWER_SECONDS)


def _status(url: str) -> int:
    return _get(url).status


def _is_honest_agent_online(url: str) -> bool:
    """Have an agent come in the place of one of those that were made up, and tell whether it is online."""
    nodes = _get(f"{url}/api/v1/nodes?limit={MOST_NODES}").json()
    gone = [row["uid"] for row in nodes["nodes"] if row["state"] == "offline"]
    is_full = nodes["total"] >= MOST_NODES
    if is_full and not gone:
        return False
    uid = bytes.fromhex(gone[0].replace("-", "")) if is_full else new_uid()
    message = AgentToServer(instance_uid=uid, sequence_num=0, capabilities=0x2001)
    attributes = to_attributes({"service.name": "honest", "service.instance.id": "honest"})
    message.agent_description.identifying_attributes.extend(attributes)
    with connect(url.replace("http", "ws", 1) + "/agent", compression=None) as connection:
        connection.send(to_frame(message))
        connection.recv(_ANSWER_SECONDS)
        states = _get(f"{url}/api/v1/nodes/honest").json()
    return bool(states.get("state") == "online")


def rss_mib() -> float:
    """Return this process's resident memory."""
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**20, 1)


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Send ``count`` messages in all, and return figures."""
    began = time.monotonic()
    logging.getLogger().addHandler(errors := Errors())
    websocket = range(int(count * 0.7))
    http = range(websocket.stop, int(count * 0.8))
    real = range(http.stop, http.stop + max(60, int(count * _OVER_SOCKETS)))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # rather memory than a disk
        manager = manager_campaign(Path(folder) / "manager", seed, websocket, http, real)
        agent = agent_in_process(Path(folder), seed, range(http.stop, count))
        agent["link"] = agent_over_sockets(Path(folder), seed)
    return {
        "messages": count,
        "seed": seed,
        "manager": manager,
        "agent": agent,
        "errors_logged": errors.found[:_SHOWN],
        "took_seconds": round(time.monotonic() - began),
    }


def all_well(found: Mapping[str, Any]) -> bool:
    """Tell whether nothing raised, everything was answered, and what is kept is bounded."""
    manager, agent = found["manager"], found["agent"]
    growth = manager["rss_mib"]["at_the_end"] - manager["rss_mib"]["after_a_fifth"]
    return (
        not found["errors_logged"]
        and not manager["wrong_in_all"]
        and not agent["wrong_in_all"]
        and manager["nodes"] <= MOST_NODES
        and growth <= MOST_GROWTH_MIB
        and all(status == 200 for status in manager["views"].values())
        and bool(manager["honest_agent_online"] and agent["link"]["connected_afterwards"])
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Send them and print figures; the exit status tells whether all is well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("messages", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    found = campaign(asked.messages, asked.seed)
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2))
    return 0 if all_well(found) else 1


if __name__ == "__main__":
    sys.exit(main())
