"""Configuration from the manager to many agents, and a bad one on its way back. Prints JSON.

    python -m bench.fleet_configs --agents 1000 --bad-agents 500 --batch 25

``push``: a version for everybody at once; how long until the last agent has it, and until the manager knows.
``refused``, ``ill``, ``silent``: a version that agents cannot take, one with which they are not healthy, and
one that breaks their link, each in batches; among the agents of the first batch is a real one, a process of
its own. ``affected`` is how many agents were ever sent the version, ``reverted_seconds`` the time from the
push until the last of them has said that it has the version before. ``history``: what the real agent and the
first of the others have reported, the oldest first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.fleet_agents import Asker, joined, manager
from bench.fleet_simulated import Agent, Fleet
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.web.localclient import LocalClient
from fleet.agent.conversation import CAPABILITIES, REMOTE_CAPABILITIES
from fleet.opamp.frames import from_frame
from fleet.opamp.opamp_pb2 import (
    AgentRemoteConfig,
    AgentToServer,
    RemoteConfigStatus,
    RemoteConfigStatuses_APPLIED,
    RemoteConfigStatuses_FAILED,
    ServerToAgent,
)
from lab.loopback import free_port

PUSH_SECONDS = 10.0
REVERT_SECONDS = 30.0
_PATIENCE = 300.0
# Sorts behind the first simulated agent, and so belongs to the first batch.
_REAL = "node-00000-real"
_GOOD = "log.level: info\n"
# The simulated agents read the comment; the real one refuses what is wrong, is well with what is right, and
# loses its manager in truth.
_BAD = {
    "refused": "log.level: loud  # refused\n",
    "ill": "log.level: debug  # ill\n",
    "silent": "agent.manager-url: ws://127.0.0.1:9/agent  # silent\n",
}
_AWAY_SECONDS = 8.0


class Configured(Agent):
    """Takes configurations; what it makes of one stands in a comment."""

    capabilities = CAPABILITIES | REMOTE_CAPABILITIES
    changes = 0.0  # health says here what became of a version

    def __init__(self, fleet: Fleet, number: int) -> None:
        super().__init__(fleet, number)
        self.status = RemoteConfigStatus()
        self.sent: list[bytes] = []
        self.changed_at = 0.0

    def take(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        """Take a configuration, and say what became of it."""
        reply = from_frame(ServerToAgent, frame)
        if not reply.HasField("remote_config"):
            return
        given = reply.remote_config
        text = "".join(file.body.decode() for file in given.config.config_map.values())
        self.sent.append(given.config_hash)
        self.changed_at = time.perf_counter()
        self._follow(given, text, writer)

    def _follow(self, given: AgentRemoteConfig, text: str, writer: asyncio.StreamWriter) -> None:
        self.status = RemoteConfigStatus(last_remote_config_hash=given.config_hash)
        self.status.status = RemoteConfigStatuses_APPLIED
        if "silent" in text:  # it goes back by itself, and only then can say so
            self.status.status, self.status.error_message = RemoteConfigStatuses_FAILED, "no contact"
            writer.transport.abort()
            return
        if "refused" in text:
            self.status.status, self.status.error_message = RemoteConfigStatuses_FAILED, "it cannot be taken"
        message = self._message(described=False)
        message.remote_config_status.CopyFrom(self.status)
        message.health.healthy = "ill" not in text
        self._send(writer, message)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float | None:
        if self.status.error_message == "no contact":
            await asyncio.sleep(_AWAY_SECONDS)
        return await super()._session(reader, writer)

    def _describe(self, message: AgentToServer) -> None:
        super()._describe(message)
        message.remote_config_status.CopyFrom(self.status)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and tell by the exit status whether all of it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000, help="of the push")
    parser.add_argument(
        "--bad-agents", type=int, default=500, help="of the bad versions, beside the real one"
    )
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--gate", type=float, default=2.0, help="seconds for which a batch is watched")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between heartbeats")
    parser.add_argument("--push-seconds", type=float, default=PUSH_SECONDS, help="at most")
    parser.add_argument("--revert-seconds", type=float, default=REVERT_SECONDS, help="at most")
    asked = parser.parse_args(argv)
    asked.connect_rate, asked.tls = 500, False
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), asked))
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2))
    return int(not is_right(found, asked))


def is_right(found: dict[str, Any], asked: argparse.Namespace) -> bool:
    """Tell whether the figures keep what is promised."""
    bad = [found[kind] for kind in _BAD]
    return (
        found["push"]["agents_have_it_seconds"] <= asked.push_seconds
        and all(each["affected"] <= asked.batch for each in bad)
        and all(each["reverted_seconds"] <= asked.revert_seconds for each in bad)
        and all(each["history_is_right"] for each in bad)
    )


async def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run all parts, each with a manager of its own."""
    found: dict[str, Any] = {"agents": asked.agents, "bad_agents": asked.bad_agents + 1, "batch": asked.batch}
    found["push"] = await push_to_all(folder / "push", asked)
    for kind, text in _BAD.items():
        found[kind] = await bad(folder / kind, asked, text)
    return found


async def push_to_all(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Push to everybody at once."""
    async with serving(folder, asked, asked.agents) as (fleet, client):
        began = time.perf_counter()
        rollout = await asyncio.to_thread(push, client, _GOOD, "100%", 0.0)
        answered = time.perf_counter() - began
        await until(lambda: all(agent.sent for agent in configured(fleet)))
        last = max(agent.changed_at for agent in configured(fleet)) - began
        phase = await ended(client, rollout)
        return {
            "request_seconds": round(answered, 2),
            "agents_have_it_seconds": round(last, 2),
            "manager_knows_seconds": round(time.perf_counter() - began, 2),
            "phase": phase["phase"],
        }


async def bad(folder: Path, asked: argparse.Namespace, text: str) -> dict[str, Any]:
    """Push a good version to everybody, then a bad one in batches."""
    async with (
        serving(folder, asked, asked.bad_agents) as (fleet, client),
        real(folder, fleet.port, client, asked.revert_seconds / 3),
    ):
        good = await ended(client, await asyncio.to_thread(push, client, _GOOD, "100%", 0.0))
        assert good["phase"] == "done", good["reason"]
        before = {agent: len(agent.sent) for agent in configured(fleet)}
        began = time.perf_counter()
        rollout = await asyncio.to_thread(push, client, text, str(asked.batch), asked.gate)
        found = await ended(client, rollout)
        sent = [agent for agent, count in before.items() if len(agent.sent) > count]
        kept = configured(fleet)[-1].sent[-1]  # of the last batch: nobody was sent anything else there
        await until(lambda: all(agent.status.last_remote_config_hash == kept for agent in sent))
        names = [_REAL, *(f"node-{configured(fleet).index(agent):05}" for agent in sent[:1])]
        await until_known(client, names, kept)
        seconds = time.perf_counter() - began
        histories = {name: await asyncio.to_thread(history, client, name) for name in names}
        return {
            "phase": found["phase"],
            "reason": found["reason"],
            "affected": len(sent) + any(member["node_id"] == _REAL for member in had_it(found)),
            "reverted_seconds": round(seconds, 2),
            "history": histories,
            "history_is_right": found["phase"] == "reverted" and all(map(is_story, histories.values())),
        }


@asynccontextmanager
async def serving(
    folder: Path, asked: argparse.Namespace, count: int
) -> AsyncIterator[tuple[Fleet, LocalClient]]:
    """Run a manager with simulated agents, all of which have come."""
    folder.mkdir()  # noqa: ASYNC240 - once
    port = free_port()
    async with manager(folder, asked, Asker(port, None)):
        fleet = Fleet(port, count, asked.interval, Configured)
        fleet.start()
        try:
            missing = (await joined(fleet))["missing"]
            assert not missing, f"{missing} agents have not come"
            yield fleet, LocalClient(folder / "run", "manager", _PATIENCE)
        finally:
            fleet.stop()


@asynccontextmanager
async def real(folder: Path, port: int, client: LocalClient, patience: float) -> AsyncIterator[None]:
    """Run an agent as a user starts it; ``patience``: seconds without its manager until it goes back."""
    with FakeEngine(folder / "docker.sock") as engine:
        command = [sys.executable, "-P", "-m", "compose_agent", "run", f"--state-dir={folder / 'agent'}"]
        command += ["--no-enable-remediation", f"--docker.host={engine.url}", f"--agent.node-id={_REAL}"]
        command += [
            f"--agent.manager-url=ws://127.0.0.1:{port}/agent",
            f"--agent.remote-timeout={patience:g}s",
        ]
        command += ["--agent.remote-options=log,agent.manager-url"]
        command += ["--exporter.web.listen-address=127.0.0.1:0", "--log.level=error"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 - once
        try:
            await until(lambda: node_state(client) == "online")
            yield
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait)


def configured(fleet: Fleet) -> list[Configured]:
    return [agent for agent in fleet.agents if isinstance(agent, Configured)]


def node_state(client: LocalClient) -> str:
    status, body = client.request("GET", f"/api/v1/nodes/{_REAL}")
    return str(json.loads(body)["state"]) if status == 200 else ""


def push(client: LocalClient, text: str, batch: str, gate: float) -> int:
    """Push a version of the only layer, and return the number of its roll-out."""
    asked = {"name": "agent.yml", "body": text, "batch": batch, "gate": f"{int(gate * 1000)}ms"}
    asked["within"] = f"{_PATIENCE:g}s"
    status, body = client.request("POST", "/api/v1/configs", json.dumps(asked).encode())
    assert status == 202, body
    return int(json.loads(body)["rollout"]["id"])


async def ended(client: LocalClient, rollout: int) -> dict[str, Any]:
    """Return a roll-out when it has ended."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        found: dict[str, Any] = await asyncio.to_thread(client.get_json, f"/api/v1/rollouts/{rollout}")
        if found["phase"] in {"done", "reverted"} or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.05)


async def until_known(client: LocalClient, names: Sequence[str], kept: bytes) -> None:
    """Wait until the manager knows that these have the version before."""

    def known() -> bool:
        nodes = [client.get_json(f"/api/v1/configs/nodes/{name}") for name in names]
        return all(node["status"] == "applied" and node["reported"] == kept.hex() for node in nodes)

    deadline = time.monotonic() + _PATIENCE
    while not await asyncio.to_thread(known) and time.monotonic() < deadline:  # noqa: ASYNC110 - it only looks
        await asyncio.sleep(0.05)


def had_it(rollout: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the agents from which a version was taken back."""
    return [each for each in rollout["members"] if each["state"] in {"failed", "reverted"}]


def history(client: LocalClient, name: str) -> list[str]:
    """Return what an agent has reported, the oldest first, without what it was about to do."""
    time.sleep(1.0)  # reports are on disk half a second later
    reports = client.get_json(f"/api/v1/configs/nodes/{name}")["history"]
    return [one["status"] for one in reversed(reports) if one["status"] != "applying"]


def is_story(reported: Sequence[str]) -> bool:
    """Tell whether it had the good version, then trouble or the bad one, and then the good one again."""
    middle = reported[1:-1]
    return reported[:1] == ["applied"] and reported[-1:] == ["applied"] and len(middle) <= 2


async def until(true: Any) -> None:
    """Wait for something to be true."""
    deadline = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
