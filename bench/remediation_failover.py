"""How long it takes until another answers: fail-over of real services on a private Engine. Prints JSON.

    python -m bench.remediation_failover [--switches 18] [--engine-line 28]

Each switch is of a pair of its own, with the agent's own probe at its shortest (1 s, three times). Every
second primary says that it is ill, the others take connections and never answer; half of the standbys have
the alias in the Compose file, half are given it by the agent. The time is from the failing to the first
answer by the alias, asked for inside the network, that comes from the standby. Both the alias and the
primary's own name are asked all the time: after the Engine has started the standby the primary must never
answer again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from lab import failover
from lab.agent import Agent
from lab.busybox import ensure_image
from lab.compose import Project
from lab.engine import PrivateEngine
from lab.lines import LINES

_PROJECT = "pairs"
# What is asked for: p95 of a switch.
_WANTED_SECONDS = 10.0
_LONGEST_SECONDS = 60.0
# How long the fenced primary is listened for after the standby answers.
_LISTEN_SECONDS = 3.0
# What the actor does at most in ten minutes, whoever asks, is enough for so many.
_MOST_SWITCHES = 18
_CALL_SECONDS = 60.0
_OPTIONS = ("--budget.host=1000/10m", "--budget.global=1000/10m", "--freeze-after=1000/10m")
# Asks for the alias and for the primary by its own name, again and again, and says when it began to.
_ASKING = (
    "ask() {{ timeout 1 wget -q -O - http://$1/name 2>/dev/null || echo -; }};"
    " while :; do echo $(cut -d' ' -f1 /proc/uptime) $(ask {alias}) $(ask {primary}); sleep 0.05; done"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered by the alias and by the primary's own name, ``-`` for nobody.

    ``asked`` is when the first question was sent, ``at`` when both answers were known; Unix seconds.
    """

    asked: float
    at: float
    alias: str
    primary: str


@dataclass(slots=True)
class Listener:
    """Answers inside the network, as they come."""

    answers: list[Answer] = field(default_factory=list)

    def listen(self, lines: Iterator[bytes]) -> None:
        """Take lines until there are no more."""
        for chunk in lines:
            for line in chunk.decode().splitlines():
                uptime, alias, primary = line.split(" ")
                asked = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + float(uptime)
                self.answers.append(Answer(asked, time.time(), alias, primary))

    def wait_for(self, name: str) -> float:
        """Return when the alias was first answered by this name; raises TimeoutError."""
        deadline = time.time() + _LONGEST_SECONDS
        while time.time() < deadline:
            if found := next((each.at for each in self.answers if each.alias == name), 0.0):
                return found
            time.sleep(0.01)
        raise TimeoutError(f"{name} did not answer within {_LONGEST_SECONDS:g} s")


@dataclass(frozen=True, slots=True)
class Switch:
    """One measured switch; ``late`` are answers of the fenced one after the standby was started."""

    kind: str
    seconds: float
    late: int
    both: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and tell by the exit status whether it is as fast and as safe as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--switches", type=int, choices=range(1, _MOST_SWITCHES + 1), default=_MOST_SWITCHES)
    parser.add_argument("--engine-line", choices=LINES, default=LINES[-1])
    asked = parser.parse_args(argv)
    found = summary(measure(asked.engine_line, asked.switches))
    sys.stdout.write(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2) + "\n")
    is_slow = found["seconds"]["p95"] > _WANTED_SECONDS
    return int(is_slow or found["late_answers"] > 0 or found["both_ran"] > 0)


def summary(switches: Sequence[Switch]) -> dict[str, Any]:
    """Return what is printed of the switches."""
    kinds = sorted({each.kind for each in switches})
    return {
        "switches": len(switches),
        "seconds": _spread([each.seconds for each in switches]),
        "seconds_by_kind": {
            kind: _spread([each.seconds for each in switches if each.kind == kind]) for kind in kinds
        },
        "late_answers": sum(each.late for each in switches),
        "both_ran": sum(each.both for each in switches),
    }


def measure(line: str, switches: int) -> list[Switch]:
    """Return the switches, one after the other, on an Engine and with an agent of their own."""
    with PrivateEngine(line, share_network=True) as engine, tempfile.TemporaryDirectory() as folder:
        api = docker.DockerClient(base_url=engine.host, timeout=_CALL_SECONDS)
        ensure_image(api)
        with _up(engine, Path(folder), switches):
            options = [f"--state-dir={folder}/state", *_OPTIONS]
            with Agent(engine.host, options, command="remediate", role="remediation") as agent:
                agent.wait_ready()
                return [_switch(api, number) for number in range(switches)]


@contextmanager
def _up(engine: PrivateEngine, folder: Path, pairs: int) -> Iterator[None]:
    """Bring the pairs up, of which the standbys do not run."""
    services: dict[str, Any] = {}
    for number in range(pairs):
        names = (f"pair{number}", f"primary{number}", f"standby{number}", f"alias{number}")
        services |= failover.pair(*names, failover.PROBE, shared=bool(number // 2 % 2))
    model = {"services": {**services, **failover.client()}}
    with Project(engine, folder, _PROJECT, model) as project:
        project.compose("create")
        project.compose("start", *(each for each in model["services"] if not each.startswith("standby")))
        yield


def _switch(api: docker.DockerClient, number: int) -> Switch:
    primary, standby = f"primary{number}", f"standby{number}"
    client = api.containers.get(f"{_PROJECT}-{failover.CLIENT}-1")
    listener = Listener()
    command = _ASKING.format(alias=f"alias{number}", primary=f"{_PROJECT}-{primary}-1")
    _, lines = client.exec_run(["sh", "-c", command], stream=True)
    threading.Thread(target=listener.listen, args=(lines,), daemon=True).start()
    listener.wait_for(primary)
    kind, fail = ("hangs", failover.hang) if number % 2 else ("ill", failover.fail)
    began = time.time()
    fail(api.containers.get(f"{_PROJECT}-{primary}-1"))
    answered = listener.wait_for(standby)
    time.sleep(_LISTEN_SECONDS)
    ended, started = _times(api, began, primary, standby)
    late = [each for each in listener.answers if each.asked > started]
    answers = sum(primary in (each.alias, each.primary) for each in late)
    return Switch(kind, answered - began, answers, both=not 0 < ended < started)


def _times(api: docker.DockerClient, since: float, primary: str, standby: str) -> tuple[float, float]:
    """Return when the Engine says that the primary ended and that the standby was started."""
    found = {"die": 0.0, "start": 0.0}
    filters = {"type": ["container"], "event": ["die", "start"]}
    for event in api.events(since=since, until=time.time(), filters=filters, decode=True):
        service = event["Actor"]["Attributes"].get("com.docker.compose.service")
        if (event["Action"], service) in (("die", primary), ("start", standby)):
            found[event["Action"]] = event["timeNano"] / 1e9
    return found["die"], found["start"]


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if len(ordered) == 1:
        return dict.fromkeys(("p50", "p95", "max"), round(ordered[0], 2))
    p95 = statistics.quantiles(ordered, n=20, method="inclusive")[-1]
    return {"p50": round(statistics.median(ordered), 2), "p95": round(p95, 2), "max": round(ordered[-1], 2)}


if __name__ == "__main__":
    sys.exit(main())
