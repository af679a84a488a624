"""Thousands of simulated agents against one manager. Prints JSON.

    python -m bench.fleet_agents --agents 10000 --interval 30 --seconds 60 [--tls]

The manager is a process of its own, as ``compose-agent manager --insecure`` starts it, or with a certificate
and a token; the agents share another process. ``joined``: how long until all have registered, while
connections are let in at the manager's rate. ``steady``: heartbeats, a hundredth of them with a change of
health; beside the answers stands what the event loops of both processes were late by, since an answer that
is seen late may have waited in either. Meanwhile ``--commands`` are given to nodes chosen by chance, each of
which says at once that it is done: ``round_trip`` is from the API to that end on disk. ``restart``: the
manager is killed with -9 and started again; how long from its first answer until the last agent is back, with
the pauses of the real ones. ``false_offline`` counts nodes that were called offline although their agents
were there.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trustme
import urllib3

from bench.fleet_round_trips import Obedient, round_trips
from bench.fleet_simulated import Fleet
from lab.loopback import free_port

_START_SECONDS = 300.0
_TOKEN = "0123456789abcdef"  # noqa: S105 - of a manager that lives for a minute
# Shorter than what is looked for.
_TICK_SECONDS = 0.01
_JOIN_SECONDS = 300.0
# A page of ten thousand nodes on a machine under load.
_ANSWER_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and tell by the exit status whether all came and came back and none was called gone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between heartbeats")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady part")
    parser.add_argument("--connect-rate", type=int, default=500)
    parser.add_argument("--commands", type=int, default=200, help="in the steady part, evenly")
    parser.add_argument("--tls", action="store_true", help="with a certificate and a token")
    asked = parser.parse_args(argv)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # This process would stop for half a second now and then to look through a million objects that all stay.
    gc.disable()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), asked))
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2))
    return int(
        found["false_offline"] > 0 or found["joined"]["missing"] > 0 or found["restart"]["missing"] > 0
    )


async def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run the three parts."""
    found: dict[str, Any] = {"agents": asked.agents, "interval_seconds": asked.interval, "tls": asked.tls}
    port = free_port()
    tls = certificate(folder) if asked.tls else None
    ask = Asker(port, tls)
    async with manager(folder, asked, ask) as process:
        fleet = Fleet(port, asked.agents, asked.interval, tls=tls, token=_TOKEN if tls else "", kind=Obedient)
        idle = rss_bytes(process.pid)
        fleet.start()
        found["joined"] = await joined(fleet)
        found["joined"]["rss_mib"] = mib(rss_bytes(process.pid))
        found["joined"]["bytes_per_agent"] = (rss_bytes(process.pid) - idle) // asked.agents
        trips = asyncio.to_thread(round_trips, folder / "run", asked.agents, asked.commands, asked.seconds)
        found["steady"], (given, taken) = await asyncio.gather(
            steady(fleet, ask, process.pid, asked.seconds), trips
        )
        found["round_trip"] = {"commands": given, "done": len(taken), "ms": spread(taken)}
        found["pages_ms"] = await asyncio.to_thread(pages, ask)
        before = await asyncio.to_thread(offline, ask)
        process.kill()
        while fleet.online:  # noqa: ASYNC110 - a few hundred milliseconds, once
            await asyncio.sleep(0.05)
    async with manager(folder, asked, ask) as process:
        found["restart"] = await joined(fleet)
        await asyncio.sleep(min(asked.interval, 15.0))
        found["restart"]["rss_mib"] = mib(rss_bytes(process.pid))
        found["false_offline"] = before + await asyncio.to_thread(offline, ask)
        fleet.stop()
    return found


class Asker:
    """Asks the manager on ``port`` as a person would."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self._url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._pool = urllib3.PoolManager(retries=False, ssl_context=tls)

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        """Return the answer."""
        return self._pool.request("GET", self._url + path, timeout=_ANSWER_SECONDS)

    def answers(self) -> bool:
        """Tell whether it is ready."""
        with suppress(urllib3.exceptions.HTTPError):
            return self.get("/-/ready").status == 200
        return False


def certificate(folder: Path) -> ssl.SSLContext:
    """Write what a manager needs for TLS into ``folder``; return with what it is trusted."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    (folder / "web.yml").write_text("tls_server_config: {cert_file: both.pem, key_file: both.pem}\n")
    (folder / "token").write_text(_TOKEN + "\n")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def manager(
    folder: Path, asked: argparse.Namespace, ask: Asker
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run a manager, and give its process when it answers."""
    command = [sys.executable, "-P", "-m", "compose_agent", "manager", f"--state-dir={folder}"]
    command += [f"--web.listen-address=127.0.0.1:{ask.port}", f"--connect-rate={asked.connect_rate}"]
    command += [f"--heartbeat-interval={asked.interval:g}s", f"--run-dir={folder}/run"]
    secure = [f"--web.config.file={folder}/web.yml", f"--token-file={folder}/token"]
    process = subprocess.Popen([*command, *(secure if asked.tls else ["--insecure"])])  # noqa: ASYNC220 - once
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not await asyncio.to_thread(ask.answers):
            assert process.poll() is None, "the manager has ended"
            assert time.monotonic() < deadline, "the manager does not answer"
            await asyncio.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait)


async def joined(fleet: Fleet) -> dict[str, Any]:
    """Wait until every agent has been answered."""
    began, refused = time.perf_counter(), fleet.refused
    while len(fleet.online) < len(fleet.agents) and time.perf_counter() - began < _JOIN_SECONDS:  # noqa: ASYNC110 - it only looks
        await asyncio.sleep(0.05)
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "missing": len(fleet.agents) - len(fleet.online),
        "told_to_come_again": fleet.refused - refused,
    }


async def steady(fleet: Fleet, ask: Asker, pid: int, seconds: float) -> dict[str, Any]:
    """Let it run, and look at what it costs."""
    fleet.latencies.clear()
    began, cpu = time.perf_counter(), cpu_seconds(pid)
    late = await lateness(seconds)
    took = time.perf_counter() - began
    return {
        "seconds": round(took, 1),
        "messages": len(fleet.latencies),
        "cpu_share_of_a_core": round((cpu_seconds(pid) - cpu) / took, 3),
        "rss_mib": mib(rss_bytes(pid)),
        "lost_connections": len(fleet.lost),
        "answer_ms": spread(fleet.latencies),
        "agents_loop_late_ms": spread(late),
        "manager_loop_late_ms": await asyncio.to_thread(manager_lateness, ask),
    }


async def lateness(seconds: float) -> list[float]:
    """Return by how much this process's event loop was late, again and again, in seconds."""
    found = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        await asyncio.sleep(_TICK_SECONDS)
        found.append(max(0.0, time.perf_counter() - began - _TICK_SECONDS))
    return found


def manager_lateness(ask: Asker) -> dict[str, float]:
    """Return the same of the manager, from its histogram: the bounds below which so many were."""
    lines = ask.get("/metrics").data.decode().splitlines()
    buckets = [line for line in lines if line.startswith("fleet_loop_late_seconds_bucket")]
    counts = [(float(line.split('"')[1]), float(line.split()[1])) for line in buckets]
    total = counts[-1][1]
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(next(bound for bound, count in counts if count >= share * total) * 1000, 1)
        for name, share in at.items()
    }


def pages(ask: Asker) -> dict[str, float]:
    """Return how long each page takes, the median of five."""
    paths = ("/", "/?q=rack-7", "/api/v1/nodes?limit=10000", "/api/v1/http_sd", "/metrics")
    return {path: round(statistics.median(took(ask, path) for _ in range(5)) * 1000, 1) for path in paths}


def took(ask: Asker, path: str) -> float:
    began = time.perf_counter()
    answer = ask.get(path)
    assert answer.status == 200, (path, answer.status)
    return time.perf_counter() - began


def offline(ask: Asker) -> int:
    """Return how often a node was called offline."""
    text = ask.get("/metrics").data.decode()
    name = 'fleet_node_transitions_total{state="offline"}'
    return int(float(next(line.split()[1] for line in text.splitlines() if line.startswith(name))))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the maximum in milliseconds."""
    ordered = sorted(values) or [0.0]
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[int(share * (len(ordered) - 1))] * 1000, 2) for name, share in at.items()}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def mib(size: int) -> float:
    return round(size / 2**20, 1)


if __name__ == "__main__":
    sys.exit(main())
