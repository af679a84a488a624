"""Hundreds of faults on the links of real agents, and how soon each was back. Prints JSON.

    python -m bench.fleet_link_faults 200 --seed 1 --cells 12

Each *cell* is a manager and an agent, two processes on hosts of their own (network namespaces; needs root,
iproute2 and iptables), which speak over TLS and find each other by name. Faults come one after the other
in a cell, and cells are independent of one another. An agent is back when both ends say so and something has
come over the link since the fault was over; it has to stay so for a second. No agent is ever restarted, and
one that is not back after two minutes counts as lost.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.fleet_link_cell import Cell
from bench.fleet_link_plan import Fault, Kind, faults, shared
from compose_agent.dockerd.fake import FakeEngine

_LOST_SECONDS = 120.0
_LOOK_SECONDS = 0.2
_STAYS_SECONDS = 1.0
# The item of the specification of this program: the 99th of a hundred.
WANTED_P99_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came of one fault; ``seconds`` from its end until the agent was back, None when it was not."""

    number: int
    kind: Kind
    fault_seconds: float
    seconds: float | None
    transport: str
    same_agent: bool


def run_cell(folder: Path, engine: str, plan: Sequence[Fault]) -> tuple[list[Recovery], dict[str, int]]:
    """Inflict ``plan`` on one cell; return what came of it, and what its ends have counted."""
    found = []
    with Cell(folder, engine) as cell:
        for fault in plan:
            until_connected(cell)
            time.sleep(fault.calm)
            healed = cell.inflict(fault)
            seconds = recovered(cell, healed)
            cell.mend()
            found.append(
                Recovery(
                    fault.number,
                    fault.kind,
                    round(fault.seconds, 1),
                    seconds,
                    cell.link()["transport"],
                    cell.same_agent(),
                )
            )
            _say(found[-1])
        link = cell.link()
        states = [one["after"] for one in cell.node()["history"]]
    return found, {"rebuilt": link["rebuilt"], "duplicate": states.count("duplicate")}


def until_connected(cell: Cell) -> None:
    """Wait until the agent is connected over WebSocket: one that polls would not notice a fault between."""
    deadline = time.monotonic() + _LOST_SECONDS
    while time.monotonic() < deadline:
        link = cell.link()
        if link["connected"] and link["transport"] == "websocket":
            return
        time.sleep(_LOOK_SECONDS)


def recovered(cell: Cell, healed: float) -> float | None:
    """Wait until the link is whole and stays so; return the seconds since ``healed``, Unix time."""
    while (now := time.time()) - healed < _LOST_SECONDS:
        if cell.is_whole(healed):
            time.sleep(_STAYS_SECONDS)
            if cell.is_whole(healed):
                return round(now - healed, 2)
        time.sleep(_LOOK_SECONDS)
    return None


def campaign(count: int, seed: int, cells: int, kinds: Sequence[Kind] = tuple(Kind)) -> dict[str, Any]:
    """Run ``count`` faults and return figures."""
    began = time.monotonic()
    shares = [share for share in shared(faults(count, seed, kinds), cells) if share]
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as folder,  # rather memory than a disk
        FakeEngine(Path(folder) / "docker.sock") as engine,
        ThreadPoolExecutor(len(shares)) as pool,
    ):
        homes = [Path(folder) / f"cell-{number}" for number in range(len(shares))]
        for home in homes:
            home.mkdir()
        done = list(pool.map(run_cell, homes, [engine.url] * len(homes), shares))
    recoveries = sorted((one for found, _ in done for one in found), key=lambda one: one.number)
    return {
        **figures(recoveries),
        "links_rebuilt_by_the_watchdog": sum(counts["rebuilt"] for _, counts in done),
        "times_called_duplicate": sum(counts["duplicate"] for _, counts in done),
        "cells": len(shares),
        "seed": seed,
        "took_seconds": round(time.monotonic() - began),
    }


def figures(recoveries: Sequence[Recovery]) -> dict[str, Any]:
    """Return how many are back, and how soon."""
    lost = [asdict(one) for one in recoveries if one.seconds is None]
    return {
        "faults": len(recoveries),
        "back": len(recoveries) - len(lost),
        "back_over_http": sum(one.transport == "http" for one in recoveries if one.seconds is not None),
        "agents_restarted": sum(not one.same_agent for one in recoveries),
        "back_after_seconds": spread([one.seconds for one in recoveries if one.seconds is not None]),
        "by_kind": {
            kind.value: {"faults": len(times), **spread([each for each in times if each is not None])}
            for kind in Kind
            if (times := [one.seconds for one in recoveries if one.kind is kind])
        },
        "lost": lost,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum."""
    if not values:
        return {}
    ordered = sorted(values)
    p99 = ordered[max(0, -(-len(ordered) * 99 // 100) - 1)]
    return {"p50": round(statistics.median(ordered), 2), "p99": p99, "max": ordered[-1]}


def all_well(found: dict[str, Any]) -> bool:
    """Tell whether every agent was back, in time, and none was restarted."""
    return (
        found["back"] == found["faults"]
        and not found["agents_restarted"]
        and found["back_after_seconds"]["p99"] <= WANTED_P99_SECONDS
    )


def _say(one: Recovery) -> None:
    print(
        f"{one.number:4} {one.kind:12} {one.fault_seconds:5} s: back after {one.seconds} s", file=sys.stderr
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run them and print figures; the exit status tells whether all is well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--kind", type=Kind, action="append", help="only these; repeatable")
    asked = parser.parse_args(argv)
    found = campaign(asked.faults, asked.seed, asked.cells, asked.kind or tuple(Kind))
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2))
    return 0 if all_well(found) else 1


if __name__ == "__main__":
    sys.exit(main())
