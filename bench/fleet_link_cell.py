"""One manager and one agent, each a process on a host of its own, and the cable between them.

The agent is ``compose-agent run --register`` and reaches its manager by name, over TLS and with a token. The
hosts are network namespaces (lab.lan); faults are rules of iptables, signals, and kills.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.fleet_link_plan import Fault, Kind
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient
from lab.lan import Cable, Lan
from lab.manager import PORT, PROGRAM, LanManager
from lab.process import Process
from lab.sandbox import Sandbox

_NAME = "manager.test"
_NODE = "node"
_LINK = ("-p", "tcp", "-m", "multiport", "--ports", str(PORT))
_DNS = ("-p", "udp", "-m", "multiport", "--ports", "53")
_RESET = ("-j", "REJECT", "--reject-with", "tcp-reset")
_LOSS = ("-m", "statistic", "--mode", "random", "--probability", "0.33", "-j", "DROP")
_RULES: Mapping[Kind, tuple[str, ...]] = {
    Kind.RESET: (*_LINK, *_RESET),
    Kind.DROP: (*_LINK, "-j", "DROP"),
    Kind.STALL: (*_LINK, "-j", "DROP"),
    Kind.LOSS: (*_LINK, *_LOSS),
    Kind.DNS_SILENT: (*_DNS, "-j", "DROP"),
    Kind.DNS_REFUSED: (*_DNS, "-j", "REJECT"),
}
_COMMAND_SECONDS = 20.0
# Until an established connection has seen a reset: its next probe.
_CUT_SECONDS = 6.0
_LAST_ACK = re.compile(r"\blastack:(\d+)")


class Cell:
    """The two, with their files below ``folder``; ``engine`` is the URL of the agent's Engine."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder = folder
        self._engine = engine
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            self._lan = lan = cleanup.enter_context(Lan())
            self._host = Sandbox(lan.scratch)
            cleanup.callback(self._host.close)
            self._cable: Cable = lan.attach(self._host.pid)
            names = self._process("nameserver", [*lan.enter(), *self._nameserver()], lambda: True)
            cleanup.callback(names.close)
            names.start()
            self._manager = cleanup.enter_context(LanManager(lan, self._folder, _NAME))
            self._agent = self._process("agent", [*self._host.enter(), *self._agent_command()], self._linked)
            cleanup.callback(self._agent.close)
            self._agent.start()
            self._first_pid = self._agent.pid
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    # What is asked.

    def link(self) -> dict[str, Any]:
        """Return what the agent says of its link."""
        document: dict[str, Any] = LocalClient(self._folder / "agent-run", "agent").get_json("/v1/link")
        return document

    def node(self) -> dict[str, Any]:
        """Return what the manager says of the node, empty when it does not know it."""
        return self._manager.node(_NODE)

    def is_whole(self, since: float) -> bool:
        """Tell whether both say that the link works, and something has come back over it after ``since``.

        ``since`` is Unix time. What has come back is an acknowledgement of the manager's kernel on the
        connection there is, or over plain HTTP an answer.
        """
        try:
            link, node = self.link(), self.node()
        except ComposeAgentError:
            return False
        if not link["connected"] or node.get("state") != "online":
            return False
        return node["last_heard"] > since or (link["transport"] == "websocket" and self._acked(since))

    def same_agent(self) -> bool:
        """Tell whether the agent's process is still the first one."""
        return self._agent.pid == self._first_pid and Path(f"/proc/{self._first_pid}").exists()

    # What is done to it.

    def inflict(self, fault: Fault) -> float:
        """Do what a fault is, from its begin to its end; return when the link could work again, Unix time."""
        began = time.time()
        match fault.kind:
            case Kind.KILL:
                self._manager.process.end(signal.SIGKILL)
                self._wait(fault)
                self._manager.process.start()
            case Kind.FREEZE:
                self._manager.process.freeze()
                self._wait(fault)
                self._manager.process.thaw()
            case Kind.REBOOT:
                self._cable.filter(*_LINK, "-j", "DROP")
                self._manager.process.end(signal.SIGKILL)
                self._wait(fault)
                self._manager.process.start()
                self._cable.plug()
            case Kind.FORGOTTEN:
                port = self._local_port()
                self._cable.filter("-p", "tcp", "-m", "multiport", "--ports", port, "-j", "DROP")
                return began
            case _:
                self._cable.filter(*_RULES[fault.kind])
                self._wait(fault)
                self._cable.plug()
        return time.time()

    def mend(self) -> None:
        """Take away what is left of a fault."""
        self._cable.plug()

    def _wait(self, fault: Fault) -> None:
        if fault.kind in {Kind.DNS_SILENT, Kind.DNS_REFUSED}:
            self._cable.filter(*_LINK, *_RESET)
            time.sleep(_CUT_SECONDS)  # only a connection that has to be made anew needs its name
        time.sleep(fault.seconds)

    # How it is seen.

    def _acked(self, since: float) -> bool:
        found = _LAST_ACK.search(self._sockets())
        return found is not None and time.time() - int(found[1]) / 1000 > since

    def _local_port(self) -> str:
        line = next(line for line in self._sockets().splitlines() if f":{PORT}" in line)
        return line.split()[2].rpartition(":")[2]

    def _sockets(self) -> str:
        words = [*self._host.enter(), "ss", "-tinHO", "state", "established", "dport", f"= :{PORT}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True)
        return done.stdout

    def _linked(self) -> bool:
        return self.is_whole(0.0)

    # What it is made of.

    def _process(self, name: str, command: list[str], answers: Callable[[], bool]) -> Process:
        environment = {"MANAGER_URL": f"wss://{_NAME}:{PORT}/agent"} if name == "agent" else {}
        return Process(self._lan.scratch, command, name=name, answers=answers, environment=environment)

    def _nameserver(self) -> list[str]:
        return [sys.executable, "-P", "-m", "lab.nameserver", self._lan.address, _NAME, self._lan.address]

    def _agent_command(self) -> list[str]:
        (self._folder / "resolv.conf").write_text(f"nameserver {self._lan.address}\n")
        own_resolver = f'mount --bind {self._folder}/resolv.conf /etc/resolv.conf && exec "$@"'
        return [
            "/bin/sh",
            "-c",
            own_resolver,
            "sh",
            *PROGRAM,
            "run",
            "--register",
            "--no-enable-metrics",
            "--no-enable-remediation",
            "--one-process",
            f"--state-dir={self._folder}/agent",
            f"--run-dir={self._folder}/agent-run",
            f"--docker.host={self._engine}",
            f"--agent.node-id={_NODE}",
            *self._manager.joining(),
        ]
