"""Measure what the forwarder costs the application whose lines it reads, and whether its counts add up.

    python -m bench.forwarder_application --rate 20000 --seconds 20 --rounds 5

A container on a real Engine writes to its standard output and times each write, without a forwarder and
beside one whose sink is down, so that all its queues are full; in turn, and which is first changes each
time. Meanwhile the lines that were read must be those sent, dropped, dead-lettered and held.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from lab import LabError, busybox
from lab.agent import Agent
from lab.engine import PrivateEngine
from lab.lines import LINES
from lab.loopback import free_port

_HERE = Path(__file__).resolve()
_CALL_SECONDS = 120
# A look at the counts takes time from the same cores, and Prometheus looks less often.
_LOOK_SECONDS = 5.0
_COUNTS = ("sent", "dropped", "dead_lettered")


@dataclass(frozen=True, slots=True)
class Writes:
    """What an application saw: how many lines, and quantiles of the time of a write in microseconds."""

    lines: int
    p50: float
    p99: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run both in turn and print medians and ratios; the exit status tells whether the counts add up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=20_000.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine-line", choices=LINES, default=LINES[-1])
    asked = parser.parse_args(argv)
    with PrivateEngine(asked.engine_line) as engine, tempfile.TemporaryDirectory() as folder:
        client = docker.DockerClient(base_url=engine.host, timeout=_CALL_SECONDS)
        found = campaign(engine, client, Path(folder), asked)
        client.close()
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}))
    return int(found["uneven_counts"] > 0)


def campaign(
    engine: PrivateEngine, client: docker.DockerClient, folder: Path, asked: argparse.Namespace
) -> dict[str, Any]:
    """Return the medians of both, and how often the counts did not add up."""
    image = busybox.ensure_image(client)
    without: list[Writes] = []
    beside: list[Writes] = []
    uneven = 0
    for number in range(asked.rounds):
        home = folder / str(number)
        home.mkdir()
        for with_agent in (number % 2 == 1, number % 2 == 0):
            if with_agent:
                with forwarder(engine, home) as agent:
                    writes, wrong = write(client, image, home, asked, agent)
                    agent.kill()
                beside.append(writes)
                uneven += wrong
            else:
                without.append(write(client, image, home, asked, None)[0])
    return {
        "rate": asked.rate,
        "lines": statistics.median(each.lines for each in beside),
        "write_p50_us_without": statistics.median(each.p50 for each in without),
        "write_p50_us_beside": statistics.median(each.p50 for each in beside),
        "write_p99_us_without": statistics.median(each.p99 for each in without),
        "write_p99_us_beside": statistics.median(each.p99 for each in beside),
        "p99_ratios": sorted(
            round(after.p99 / before.p99, 3) for before, after in zip(without, beside, strict=True)
        ),
        "uneven_counts": uneven,
    }


def forwarder(engine: PrivateEngine, home: Path) -> Agent:
    """Return a forwarder whose only sink is not there."""
    options = [
        "--no-engine",
        f"--docker-root={engine.root / 'data'}",
        f"--state-dir={home / 'state'}",
        f"--sink=fluentd://127.0.0.1:{free_port()}",
        "--from=beginning",
    ]
    return Agent(engine.host, options, command="forward", role="logs")


def write(
    client: docker.DockerClient, image: str, home: Path, asked: argparse.Namespace, agent: Agent | None
) -> tuple[Writes, int]:
    """Run the application once; return what it saw, and how often the agent's counts did not add up."""
    result = home / f"writes-{'beside' if agent else 'without'}"
    python = ["chroot", "/host", sys.executable, str(_HERE.with_name("application.py"))]
    container = client.containers.run(
        image,
        [*python, str(asked.rate), str(asked.seconds), str(result)],
        volumes={"/": {"bind": "/host", "mode": "rw"}},
        log_config=docker.types.LogConfig(config={"max-size": "10m", "max-file": "3"}),
        detach=True,
    )
    wrong = 0
    deadline = time.monotonic() + asked.seconds + _CALL_SECONDS
    while not result.exists():
        if time.monotonic() > deadline:
            raise LabError("the application did not end", remedy=container.logs(tail=5).decode())
        wrong += agent is not None and not adds_up(agent.get())
        time.sleep(_LOOK_SECONDS)
    container.remove(force=True)
    lines, p50, p99 = result.read_text(encoding="utf-8").split()
    return Writes(int(lines), float(p50), float(p99)), wrong


def adds_up(metrics: str) -> bool:
    """Tell whether all lines that were read are accounted for."""

    def total(name: str) -> float:
        found = re.findall(rf"^log_forwarder_{name}\{{[^}}]*\}} (\S+)$", metrics, re.MULTILINE)
        return sum(map(float, found))

    accounted = sum(total(f"{name}_events_total") for name in _COUNTS) + total("held_events")
    return total("read_events_total") == accounted


if __name__ == "__main__":
    sys.exit(main())
