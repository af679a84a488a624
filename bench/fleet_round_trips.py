"""Commands to simulated agents, which say at once that they are done: what is left is there and back."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

from bench.fleet_simulated import Agent
from compose_agent.web.localclient import LocalClient
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
from fleet.opamp.frames import from_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

_COMMANDS = "/api/v1/commands"
_TAKEN = 202
# Of an answer that says nothing but that it is one.
_ANSWER_BYTES = 40
# So long after the last one all have ended, or never will.
_SETTLE_SECONDS = 5.0


class Obedient(Agent):
    """Does each command at once."""

    def take(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        """Take what the manager says."""
        if len(frame) <= _ANSWER_BYTES:
            return
        order = from_frame(ServerToAgent, frame).custom_message
        if order.type != COMMAND:
            return
        message = self._message(described=False)
        message.custom_message.capability, message.custom_message.type = CAPABILITY, REPORT
        done = Report(id=unpacked(Command, order.data).id, stage=Stage.DONE)
        message.custom_message.data = packed(done)
        self._send(writer, message)

    def _describe(self, message: AgentToServer) -> None:
        super()._describe(message)
        message.custom_capabilities.capabilities.append(CAPABILITY)


def round_trips(run_dir: Path, agents: int, commands: int, seconds: float) -> tuple[int, list[float]]:
    """Give commands to nodes chosen by chance, evenly over the time.

    Return how many were given, and how long those took that were done, from the API to their end on disk, by
    the manager's own clock.
    """
    chance = random.Random(1)  # noqa: S311 - chance here spreads, it hides nothing
    client = LocalClient(run_dir, "manager")
    given = []
    for _ in range(commands):
        order = {"nodes": [f"node-{chance.randrange(agents):05}"], "verb": "inspect"}
        status, answer = client.request("POST", _COMMANDS, json.dumps(order).encode())
        if status == _TAKEN:  # else the node has not come, as the part before this has counted
            given.append(json.loads(answer)["commands"][0]["id"])
        time.sleep(seconds / commands)
    time.sleep(min(seconds, _SETTLE_SECONDS))
    rows: list[dict[str, Any]] = [client.get_json(f"{_COMMANDS}/{command}") for command in given]
    return len(given), [row["ended"] - row["issued"] for row in rows if row["stage"] == "done"]
