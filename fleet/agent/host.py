"""Tells the manager how busy this host is, and what runs and was done on it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage.host import HostSample, busy_ratio, read_host
from compose_agent.errors import ComposeAgentError, EngineError
from compose_agent.typed import from_json
from compose_agent.web.localclient import LocalClient
from fleet.envelopes.host import (
    ACTIONS,
    CAPABILITY,
    CONTAINERS,
    LOAD,
    MOST_ACTIONS,
    MOST_CONTAINERS,
    ActionLine,
    ContainerLine,
    Load,
)

logger = logging.getLogger(__name__)

# A deployment changes many containers within a second or two; each telling has all of them.
_LOOK_SECONDS = 2.0
# Asking for the last actions costs a read of the journal.
_ACTIONS_SECONDS = 10.0
_ACTIONS_PATH = f"/v1/actions?limit={MOST_ACTIONS}"
# The remediation role answers from its journal; one that hangs holds up nothing but this.
_ASK_SECONDS = 3.0
REMEDIATION = "remediation"


class Send(Protocol):
    """Sends a custom message, and tells whether it is under way."""

    def __call__(self, capability: str, kind: str, data: bytes, /) -> bool: ...  # noqa: D102


class HostTeller:
    """The agent's half of the capability: one thread.

    ``interval`` gives the seconds between heartbeats, ``roles`` the names of the roles that run here.
    """

    def __init__(
        self,
        send: Send,
        inventory: Inventory,
        *,
        run_dir: Path,
        roles: Callable[[], Sequence[str]],
        interval: Callable[[], float],
        procfs: Path = Path("/proc"),
    ) -> None:
        self._send = send
        self._inventory = inventory
        self._remediation = LocalClient(run_dir, REMEDIATION, _ASK_SECONDS)
        self._roles = roles
        self._interval = interval
        self._procfs = procfs
        self._before: HostSample | None = None
        self._said: dict[str, object] = {}
        self._due = dict.fromkeys((LOAD, ACTIONS), 0.0)
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-host", daemon=True)

    def start(self) -> None:
        """Begin to look, and to tell while there is a manager that listens."""
        self._inventory.start()
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._wake.set()
        self._inventory.stop()

    def connected(self) -> None:
        """Tell everything anew: another manager, or one that has forgotten, may listen now."""
        self._said, self._due = {}, dict.fromkeys(self._due, 0.0)
        self._wake.set()

    def take(self, _kind: str, _data: bytes) -> None:
        """Take nothing: the manager has nothing to say here."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()
            try:
                self._tell()
            except Exception:  # the next turn must come: a host without its load is half blind
                logger.exception("the host's load could not be told")

    def _tell(self) -> None:
        containers = self._inventory.containers()
        # The inventory returns the same object as long as nothing has changed.
        if self._is_known() and self._said.get(CONTAINERS) is not containers:
            self._say(CONTAINERS, containers, lines_of(containers))
        if self._is_due(LOAD, self._interval()):
            self._send(CAPABILITY, LOAD, msgspec.msgpack.encode(self._load(containers)))
        if REMEDIATION in self._roles() and self._is_due(ACTIONS, _ACTIONS_SECONDS):
            self._tell_actions()

    def _is_known(self) -> bool:
        try:
            return self._inventory.wait_complete(0)
        except EngineError:  # the facts that the manager gets have its reason
            return False

    def _tell_actions(self) -> None:
        try:
            status, body = self._remediation.request("GET", _ACTIONS_PATH)
            actions = from_json(body, list[ActionLine]) if status == 200 else None
        except (ComposeAgentError, msgspec.MsgspecError):
            return  # its health says why
        if actions is not None and self._said.get(ACTIONS) != actions:
            self._say(ACTIONS, actions, actions)

    def _say(self, kind: str, what: object, lines: Sequence[object]) -> None:
        if self._send(CAPABILITY, kind, msgspec.msgpack.encode(lines)):
            self._said[kind] = what

    def _is_due(self, kind: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due[kind]:
            return False
        self._due[kind] = now + every - _LOOK_SECONDS / 2
        return True

    def _load(self, containers: Sequence[Container]) -> Load:
        try:
            sample = read_host(self._procfs)
        except (OSError, ValueError):
            return Load(0.0, os.cpu_count() or 1, None, None, len(containers), running_of(containers))
        before, self._before = self._before, sample
        cpu = busy_ratio(before.cpu_seconds, sample.cpu_seconds) if before else None
        return load_of(sample, cpu, containers, os.cpu_count() or 1)


def load_of(sample: HostSample, cpu: float | None, containers: Sequence[Container], processors: int) -> Load:
    """Return what a reading of the host says."""
    total, free = sample.memory_total_bytes, sample.memory_available_bytes
    memory = 1 - free / total if total and free is not None else None
    return Load(sample.loads[0], processors, cpu, memory, len(containers), running_of(containers))


def running_of(containers: Sequence[Container]) -> int:
    """Return how many containers run."""
    return sum(each.state == "running" for each in containers)


def lines_of(containers: Sequence[Container]) -> list[ContainerLine]:
    """Return containers as they are told."""
    return [
        ContainerLine(
            id=each.short_id,
            name=each.name,
            project=each.compose_project,
            service=each.compose_service,
            image=each.image,
            state=each.state,
            health=each.health,
            exit_code=each.exit_code,
            since=(each.started_at if each.state == "running" else each.finished_at) or 0.0,
        )
        for each in containers[:MOST_CONTAINERS]
    ]
