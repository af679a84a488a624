"""What the broker's read path costs: latency beside the socket itself, and memory. Prints JSON.

    python -m bench.broker --containers 20 --rounds 300

A private Engine with containers, the broker as its own process, and two clients that take turns: the same
question to the Engine's socket and to the broker's, over kept connections. ``ratio`` is of the medians.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import docker

from compose_agent.deadline import connect_unix
from lab.agent import Agent
from lab.busybox import ensure_image
from lab.engine import PrivateEngine

# The first answers open connections, and fill caches on both sides.
_WARM_UP = 10
_ANSWER_SECONDS = 60.0
# As a host under real use has them: streams that say nothing.
_STREAMS = 20
_ENVIRONMENT = {f"VARIABLE_{number}": "x" * 40 for number in range(20)}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--containers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--engine-line", default="28")
    asked = parser.parse_args(argv)
    with ExitStack() as held:
        engine = held.enter_context(PrivateEngine(asked.engine_line))
        ids = _containers(engine, held, asked.containers)
        state = held.enter_context(tempfile.TemporaryDirectory(prefix="broker-bench-"))
        broker = held.enter_context(
            Agent(engine.host, [f"--state-dir={state}"], command="broker", role="broker")
        )
        broker.wait_ready()
        print(json.dumps(_measured(engine, broker, ids, asked.rounds)))
    return 0


def _measured(engine: PrivateEngine, broker: Agent, ids: list[str], rounds: int) -> dict[str, Any]:
    read_socket = str(broker.run_dir / "read.sock")
    found: dict[str, Any] = {"containers": len(ids), "rounds": rounds, "rss_mib": {"idle": _rss_mib(broker)}}
    routes: dict[str, Callable[[int], str]] = {
        "_ping": lambda _: "/_ping",
        "containers/json": lambda _: "/containers/json?all=1",
        "containers/{id}/json": lambda turn: f"/containers/{ids[turn % len(ids)]}/json",
        "containers/{id}/stats": lambda turn: f"/containers/{ids[turn % len(ids)]}/stats?stream=0&one-shot=1",
    }
    with closing(_Client(engine.socket)) as direct, closing(_Client(read_socket)) as through:
        found["routes"] = {name: _compared(direct, through, path, rounds) for name, path in routes.items()}
    found["rss_mib"]["after_rounds"] = _rss_mib(broker)
    with ExitStack() as held:
        for _ in range(_STREAMS):
            held.enter_context(closing(_Client(read_socket))).ask("/events", whole=False)
        found["rss_mib"][f"with_{_STREAMS}_streams"] = _rss_mib(broker)
    return {**found, "load_average": os.getloadavg()[0]}


class _Client:
    """Asks over one connection that is kept."""

    def __init__(self, path: str) -> None:
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = connect_unix(path, None)

    def ask(self, target: str, *, whole: bool = True) -> float:
        """Return how many milliseconds an answer took, or its head if it has no end."""
        started = time.perf_counter()
        self._connection.sock.settimeout(_ANSWER_SECONDS)
        self._connection.request("GET", target)
        answer = self._connection.getresponse()
        if whole:
            answer.read()
        taken = (time.perf_counter() - started) * 1000
        assert answer.status == 200, answer.status
        return taken

    def close(self) -> None:
        self._connection.close()


def _compared(direct: _Client, through: _Client, path: Callable[[int], str], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {"direct": [], "broker": []}
    for turn in range(_WARM_UP + rounds):
        # Each goes first as often as the other.
        pair = [("direct", direct), ("broker", through)]
        for name, client in reversed(pair) if turn % 2 else pair:
            times[name].append(client.ask(path(turn)))
    figures = {name: sorted(values[_WARM_UP:]) for name, values in times.items()}
    medians = {name: statistics.median(values) for name, values in figures.items()}
    return {
        "direct_p50_ms": round(medians["direct"], 3),
        "broker_p50_ms": round(medians["broker"], 3),
        "added_p50_ms": round(medians["broker"] - medians["direct"], 3),
        "ratio": round(medians["broker"] / medians["direct"], 2),
        "direct_p99_ms": round(_p99(figures["direct"]), 3),
        "broker_p99_ms": round(_p99(figures["broker"]), 3),
    }


def _p99(values: list[float]) -> float:
    return values[min(len(values) - 1, len(values) * 99 // 100)]


def _containers(engine: PrivateEngine, held: ExitStack, count: int) -> list[str]:
    client = held.enter_context(closing(docker.DockerClient(base_url=engine.host, timeout=_ANSWER_SECONDS)))
    image = ensure_image(client)
    return list(_started(client, image, count))


def _started(client: docker.DockerClient, image: str, count: int) -> Iterator[str]:
    for number in range(count):
        made = client.containers.run(
            image, ["sleep", "1000000"], name=f"asked-{number}", environment=_ENVIRONMENT, detach=True
        )
        yield str(made.id)


def _rss_mib(broker: Agent) -> float:
    assert broker.process is not None
    status = Path(f"/proc/{broker.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return round(int(found[1]) / 1024, 1)


if __name__ == "__main__":
    sys.exit(main())
