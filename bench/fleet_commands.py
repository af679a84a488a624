"""Commands while agent and manager are killed: each done once or expired, none late, none twice. Prints JSON.

    python -m bench.fleet_commands --commands 1000 --seed 1

A manager, and an agent with its remediation role in one process, over a fake Engine in this one. Both die by
SIGKILL, at their fail points and at random moments between, and are started again. Each command restarts a
container with a stop timeout of its own, by which the Engine's side knows which command a call is of, and
when it came. The manager's time of day is wrong by days.

Afterwards, when nobody is killed any more, every command must have ended: what was ``done`` was called
exactly once, what has ``expired`` or was ``refused`` never, nothing twice, and nothing behind its deadline.
``round_trip``: before that, commands that only look, one after the other, from the API to their end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.skewed import VARIABLE as SKEW
from bench.supervised import Supervised
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.errors import ComposeAgentError
from compose_agent.failpoints import KILLED_AT, VARIABLE
from compose_agent.web.localclient import LocalClient
from lab.loopback import free_port

PATH = "/api/v1/commands"
NODE = "bench"
ENDS = {"done", "failed", "refused", "expired", "unknown"}
# Of passes of fail points: a life sees some ten commands, of which each passes some dozens of points.
_SHARES = {"agent": 0.0012, "manager": 0.003}
# A restart that the Engine was asked for in time comes within this; both processes wait for a processor.
_MARGIN_SECONDS = 1.0
_CONTAINERS = 40
_AT_ONCE = 8
_DEADLINES = (1.0, 1.0, 3.0, 3.0, 30.0, 30.0, 600.0, 600.0)
# Of a machine that does a lot besides.
_START_SECONDS = 300.0
_END_SECONDS = 900.0
_UNLIMITED = "100000/1m"
# Stop timeouts are whole seconds up to an hour.
MOST_COMMANDS = 3500


def main(argv: Sequence[str] | None = None) -> int:
    """Torment, judge, print; the exit status tells whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--commands", type=int, default=1000)
    parser.add_argument("--round-trips", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--skew", type=float, default=-200_000.0, help="seconds that the manager's clock is wrong"
    )
    asked = parser.parse_args(argv)
    if not 0 < asked.commands <= MOST_COMMANDS:
        parser.error(f"expected up to {MOST_COMMANDS} commands")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        found = Run(Path(folder), asked.seed, asked.skew).perform(asked.commands, asked.round_trips)
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2))
    return int(bool(found["problems"]))


@dataclass
class Calls:
    """The restarts that the Engine was asked for: by stop timeout, when."""

    at: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, engine: FakeEngine) -> None:
        """Note what an Engine is asked for from now on."""
        lifecycle = engine.core.lifecycle
        restart = lifecycle.restart

        def noted(container: Any, seconds: int | None, signal: int | None) -> None:
            with self.lock:
                self.at[seconds or 0].append(time.time())
            restart(container, seconds, signal)

        lifecycle.restart = noted  # type: ignore[method-assign,assignment]


class Run:
    """The parts of one run, in ``home``."""

    def __init__(self, home: Path, seed: int, skew: float) -> None:
        self._home = home
        self._seed = seed
        self._skew = skew
        self._chance = random.Random(seed)  # noqa: S311 - chance here torments, it hides nothing
        self._calls = Calls()
        self._killing = threading.Event()
        self._manager_client = LocalClient(home / "manager-run", "manager")

    def perform(self, commands: int, round_trips: int) -> dict[str, Any]:
        """Return what was seen."""
        with ExitStack() as stack:
            engine = stack.enter_context(FakeEngine(self._home / "docker.sock"))
            for number in range(_CONTAINERS):
                engine.add_container(f"c{number}", labels={"compose-agent.remediate": "restart"})
            self._calls.watch(engine)
            processes = [stack.enter_context(each) for each in self._processes(engine)]
            self._wait_online()
            trips = self._round_trips(round_trips)
            self._calls.at.clear()
            began = time.monotonic()
            given = self._torment(commands, processes)
            rows = self._rest(processes)
            seconds = time.monotonic() - began
        return self._judged(rows, given, processes, seconds) | {"round_trip": trips}

    def _processes(self, engine: FakeEngine) -> Iterator[Supervised]:
        port = free_port()
        manager = [
            "manager",
            "--insecure",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--state-dir={self._home / 'manager'}",
            f"--run-dir={self._home / 'manager-run'}",
        ]
        agent = [
            "run",
            "--one-process",
            "--no-enable-metrics",
            "--no-enable-logs",
            f"--docker.host={engine.url}",
            f"--state-dir={self._home / 'agent'}",
            f"--run-dir={self._home / 'agent-run'}",
            f"--agent.manager-url=ws://127.0.0.1:{port}/agent",
            f"--agent.node-id={NODE}",
            "--remediation.web.listen-address=127.0.0.1:0",
            f"--remediation.budget.host={_UNLIMITED}",
            f"--remediation.budget.global={_UNLIMITED}",
            f"--remediation.freeze-after={_UNLIMITED}",
            "--remediation.workers=16",
        ]
        yield self._supervised("manager", manager, module="bench.skewed")
        yield self._supervised("agent", agent)

    def _supervised(self, name: str, arguments: Sequence[str], module: str = "compose_agent") -> Supervised:
        def environ(life: int) -> Mapping[str, str]:
            doom = f"random:{self._seed}.{name}.{life}:{_SHARES[name]}" if self._killing.is_set() else ""
            return {VARIABLE: doom, SKEW: str(self._skew)}

        log = self._home / f"{name}.log"
        return Supervised(arguments, log, environ_of=environ, module=module)

    # Asking the manager.

    def _ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        status, answer = self._manager_client.request(method, path, data)
        return status, json.loads(answer)

    def _patiently(self, path: str) -> Any:
        """Return an answer, however often the manager is killed meanwhile."""
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self._ask("GET", path)[1]
            except (ComposeAgentError, ValueError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _is_online(self) -> bool:
        """Tell whether the agent has spoken with this life of the manager."""
        try:
            node = self._ask("GET", f"/api/v1/nodes/{NODE}")[1]
        except (ComposeAgentError, ValueError):
            return False
        return node.get("state") == "online" and "heard over" in node["reason"]

    def _wait_online(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while not self._is_online():
            if time.monotonic() > until:
                raise TimeoutError("the agent did not come")
            time.sleep(0.05)

    def _round_trips(self, count: int) -> dict[str, Any]:
        taken = []
        for number in range(count):
            asked = {"nodes": [NODE], "verb": "inspect", "target": f"c{number % _CONTAINERS}"}
            command = self._ask("POST", PATH, asked)[1]["commands"][0]["id"]
            while (row := self._patiently(f"{PATH}/{command}"))["stage"] not in ENDS:
                time.sleep(0.002)
            if row["stage"] != "done":
                raise RuntimeError(f"a look at a container: {row}")
            taken.append((row["ended"] - row["issued"]) * 1000)
        if len(taken) < 2:
            return {"commands": len(taken)}
        cuts = statistics.quantiles(taken, n=100)
        return {"commands": count, "p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}

    # Torment, and rest.

    def _torment(self, commands: int, processes: Sequence[Supervised]) -> dict[int, float]:
        """Give commands while both are killed; return how many seconds each was given, by its number."""
        self._killing.set()
        over = threading.Event()
        killer = threading.Thread(target=self._kill, args=(over, processes), daemon=True)
        for each in processes:
            each.kill()
        killer.start()
        plan = {number: self._chance.choice(_DEADLINES) for number in range(1, commands + 1)}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda item: self._give(*item), plan.items()))
        over.set()
        killer.join()
        return plan

    def _kill(self, over: threading.Event, processes: Sequence[Supervised]) -> None:
        chance = random.Random(self._seed + 1)  # noqa: S311 - as above
        while not over.wait(chance.uniform(1.0, 12.0)):
            # On a machine with no time to spare nobody would ever have come back before the next one.
            if self._is_online():
                chance.choice(processes).kill()

    def _give(self, number: int, seconds: float) -> None:
        """Give a command, and wait for its end, or for a while when nobody can tell whether it was taken."""
        asked = {
            "nodes": [NODE],
            "verb": "restart",
            "target": f"c{number % _CONTAINERS}",
            "arguments": {"timeout": f"{number}s"},
            "seconds": seconds,
        }
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            try:
                status, answer = self._ask("POST", PATH, asked)
            except (ComposeAgentError, ValueError) as error:
                if "is not running" in str(error):
                    time.sleep(0.05)  # nobody has heard it
                    continue
                return
            if status != 202:
                time.sleep(0.2)  # after a restart the node is not known, or the state not to be written yet
                continue
            command = answer["commands"][0]["id"]
            while self._patiently(f"{PATH}/{command}").get("stage") not in ENDS and time.monotonic() < until:
                time.sleep(0.1)
            return

    def _rest(self, processes: Sequence[Supervised]) -> list[dict[str, Any]]:
        """Kill nobody any more, and return the commands when all have ended."""
        self._killing.clear()
        until = time.monotonic() + _END_SECONDS
        for each in processes:  # the next lives have no fail points
            each.kill()
        time.sleep(0.5)
        self._wait_online()
        while True:
            rows = self._rows()
            open_ = [row for row in rows if row["stage"] not in ENDS]
            if not open_ or time.monotonic() > until:
                time.sleep(_MARGIN_SECONDS)  # what is done twice is done by then
                return rows
            time.sleep(0.5)

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        query = f"{PATH}?verb=restart&limit=1000"
        while page := self._patiently(query + (f"&before={rows[-1]['id']}" if rows else ""))["commands"]:
            rows += page
        return rows

    # Judging.

    def _judged(
        self,
        rows: Sequence[Mapping[str, Any]],
        given: Mapping[int, float],
        processes: Sequence[Supervised],
        seconds: float,
    ) -> dict[str, Any]:
        problems: list[str] = []
        late = float("-inf")
        by_number: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            by_number[int(row["arguments"]["timeout"].removesuffix("s"))].append(row)
        for number in given:
            found, calls = by_number.get(number, []), self._calls.at.get(number, [])
            stages = [row["stage"] for row in found]
            problems += _wrong(number, stages, len(calls))
            deadline = max((row["deadline"] for row in found), default=0.0) - self._skew
            late = max([late, *(at - deadline for at in calls)])
        if late > _MARGIN_SECONDS:
            problems.append(f"a restart was begun {late:.2f} s behind its deadline")
        problems += [fault for each in processes for fault in each.faults]
        manager, agent = processes
        calls_seen = sum(map(len, self._calls.at.values()))
        return {
            "commands": len(given),
            "taken": len(rows),
            "stages": dict(Counter(row["stage"] for row in rows)),
            "restarts": calls_seen,
            "kills": {"manager": manager.kills, "agent": agent.kills},
            "killed_at": dict(sorted(Counter(_killed_at(processes)).items())),
            "latest_begin_behind_deadline_seconds": round(late, 3) if calls_seen else None,
            "seconds": round(seconds, 1),
            "problems": problems[:20],
        }


def _wrong(number: int, stages: Sequence[str], calls: int) -> Iterator[str]:
    """Yield what is wrong with one command; it was given once, if the manager has taken it."""
    if len(stages) > 1:
        yield f"command {number} was taken {len(stages)} times"
    stage = stages[0] if stages else "never taken"
    if stage not in ENDS and stages:
        yield f"command {number} has not ended: it is {stage}"
    least, most = {"done": (1, 1), "failed": (0, 1), "unknown": (0, 1)}.get(stage, (0, 0))
    if not least <= calls <= most:
        yield f"command {number} is {stage}, and the Engine was asked {calls} times"


def _killed_at(processes: Sequence[Supervised]) -> Iterator[str]:
    for each in processes:
        for line in each.log.read_text(errors="replace").splitlines():
            if line.startswith(KILLED_AT):
                yield line.removeprefix(KILLED_AT)


if __name__ == "__main__":
    sys.exit(main())
