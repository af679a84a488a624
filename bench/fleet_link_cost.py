"""What the link to a manager costs an agent: memory and CPU of its processes, without it and with it.

An Engine with containers that do nothing, on a host of its own, and a manager on another one, over TLS and
with the agent's own certificate; nobody scrapes. What is measured is the same each time: the sum of the
processes' PSS and RSS, and the CPU that they use while nothing happens but heartbeats.

    python -m bench.fleet_link_cost --containers 100 --seconds 120
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.fleet import Fleet
from bench.idle_agent import WARM_UP_SECONDS, children_of, cpu_of, pss_kib
from lab.engine import PrivateEngine
from lab.lan import Lan
from lab.manager import PORT, PROGRAM, LanManager
from lab.process import Process

_MIB_KIB = 1024
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // _MIB_KIB
_JOIN_SECONDS = 60.0
_NODE = "host"
_SHAPES = {
    "one process, without logs": ("--one-process", "--no-enable-logs"),
    "a process for each role, without logs": ("--no-enable-logs",),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What the processes of an agent have and use."""

    processes: int
    rss_mib: float
    pss_mib: float
    percent: float

    def __str__(self) -> str:
        memory = f"RSS {self.rss_mib:6.1f} MiB, PSS {self.pss_mib:6.1f} MiB"
        return f"{self.processes} processes, {memory}, CPU {self.percent:.2f} % of a core"


def main() -> None:
    """Print the cost of each shape without the link, with it, and the difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--containers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120.0)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Lan() as lan,
        PrivateEngine() as engine,
        LanManager(lan, Path(folder)) as manager,
    ):
        lan.attach(engine.pid)
        Fleet(engine).grow(asked.containers)
        print(f"{asked.containers} containers, {asked.seconds:g} s each", flush=True)
        for number, (name, options) in enumerate(_SHAPES.items()):
            host = Host(lan, engine, Path(folder) / str(number), options)
            without = host.cost(asked.seconds)
            linked = host.cost(asked.seconds, manager)
            print(f"{name}:\n  without {without}\n  with    {linked}")
            print(
                f"  the link: RSS {linked.rss_mib - without.rss_mib:.1f} MiB, "
                f"PSS {linked.pss_mib - without.pss_mib:.1f} MiB, "
                f"CPU {linked.percent - without.percent:.3f} % of a core",
                flush=True,
            )
    print(f"load average {os.getloadavg()[0]:.2f}")


class Host:
    """An agent on the Engine's host, started with ``options``."""

    def __init__(self, lan: Lan, engine: PrivateEngine, folder: Path, options: Sequence[str]) -> None:
        self._lan = lan
        self._engine = engine
        self._folder = folder
        self._options = options

    def cost(self, seconds: float, manager: LanManager | None = None) -> Cost:
        """Return what the agent costs, with a link if there is a manager."""
        with self._running(manager) as pid:
            time.sleep(WARM_UP_SECONDS)
            pids = [pid, *children_of(pid)]
            began, before = time.monotonic(), sum(map(cpu_of, pids))
            time.sleep(seconds)
            used = sum(map(cpu_of, pids)) - before
            took = time.monotonic() - began
            return Cost(
                len(pids),
                sum(map(rss_kib, pids)) / _MIB_KIB,
                sum(map(pss_kib, pids)) / _MIB_KIB,
                used / took * 100,
            )

    @contextmanager
    def _running(self, manager: LanManager | None) -> Iterator[int]:
        state = self._folder / ("linked" if manager else "alone")
        command = [
            *("nsenter", f"--target={self._engine.pid}", "--net", "--", *PROGRAM, "run"),
            f"--docker.host={self._engine.host}",
            f"--state-dir={state}",
            f"--run-dir={state}/run",
            *self._options,
            *(("--register", f"--agent.node-id={_NODE}", *manager.joining()) if manager else ()),
        ]
        where = {"SERVER_ADDR": f"{self._lan.address}:{PORT}"} if manager else {}
        agent = Process(self._lan.scratch, command, name="agent", answers=lambda: True, environment=where)
        try:
            agent.start()
            if manager:
                agent.wait_until(
                    lambda: manager.node(_NODE).get("state") == "online", _JOIN_SECONDS, "did not register"
                )
            yield agent.pid
            agent.end()
        finally:
            agent.close()


def rss_kib(pid: int) -> int:
    """Return a process's resident memory, in KiB (proc(5), statm)."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_KIB


if __name__ == "__main__":
    main()
