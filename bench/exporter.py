"""What a scrape costs: CPU, latency and memory of the exporter, and CPU of the Engine, beside a floor.

Starts a private Engine with N running containers, the exporter behind a proxy that records every call to
the Engine, and scrapes it at an interval, as Prometheus does (keep-alive, gzip). CPU is of the whole
process, from ``/proc/PID/task/*/schedstat``; what it spends without scrapes is measured first and taken off.

    python -m bench.exporter --containers 10 100 300 --scrapes 60 --interval 5
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.fleet import Fleet
from bench.proxy import RecordingProxy
from lab.agent import Agent
from lab.engine import PrivateEngine

# The first scrapes open files and make templates.
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Result:
    """Figures of one fleet size; times in milliseconds unless the name says otherwise."""

    containers: int
    series: int
    body_kib: float
    gzip_kib: float
    cpu_ms_per_scrape: float
    latency_p50_ms: float
    latency_p99_ms: float
    rss_mib: float
    idle_cpu_ms_per_s: float
    engine_cpu_ms_per_s_idle: float
    engine_cpu_ms_per_s_scraped: float
    engine_calls: dict[str, int]
    floor_cpu_ms_per_scrape: float
    load_average: float


def main() -> None:
    """Print one line of JSON for each fleet size, and a table at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--containers", type=int, nargs="+", default=[100])
    parser.add_argument("--scrapes", type=int, default=60)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds without scrapes, measured first")
    parser.add_argument("--engine-line", default="28")
    arguments = parser.parse_args()
    results = []
    with PrivateEngine(arguments.engine_line) as engine:
        fleet = Fleet(engine)
        for size in sorted(arguments.containers):
            fleet.grow(size)
            results.append(_measure(engine, size, arguments))
            print(json.dumps(asdict(results[-1])), flush=True)
    print(_table(results))


def _measure(engine: PrivateEngine, size: int, arguments: argparse.Namespace) -> Result:
    scrapes, interval = arguments.scrapes, arguments.interval
    with RecordingProxy(engine.socket) as proxy, Agent(f"unix://{proxy.path}") as agent:
        agent.wait_ready()
        assert agent.process is not None
        pid, engine_pids = agent.process.pid, _engine_pids(engine)
        client = Client(agent.url)
        for _ in range(_WARM_UP):
            client.scrape()
        idle = _cpu_during(pid, engine_pids, lambda: time.sleep(arguments.idle))
        proxy.forget()
        latencies: list[float] = []
        busy = _cpu_during(pid, engine_pids, lambda: latencies.extend(client.scrapes(scrapes, interval)))
        body, packed = client.last
        return Result(
            containers=size,
            series=sum(1 for line in body.splitlines() if line and not line.startswith(b"#")),
            body_kib=round(len(body) / 1024, 1),
            gzip_kib=round(packed / 1024, 1),
            cpu_ms_per_scrape=round(
                (busy.agent - idle.agent * busy.seconds / idle.seconds) / scrapes * 1000, 2
            ),
            latency_p50_ms=round(statistics.median(latencies) * 1000, 1),
            latency_p99_ms=round(statistics.quantiles(latencies, n=100)[98] * 1000, 1),
            rss_mib=round(_rss(pid) / 2**20, 1),
            idle_cpu_ms_per_s=round(idle.agent / idle.seconds * 1000, 2),
            engine_cpu_ms_per_s_idle=round(idle.engine / idle.seconds * 1000, 2),
            engine_cpu_ms_per_s_scraped=round(busy.engine / busy.seconds * 1000, 2),
            engine_calls=dict(Counter(proxy.calls)),
            floor_cpu_ms_per_scrape=_floor(engine, scrapes),
            load_average=round(os.getloadavg()[0], 2),
        )


class Client:
    """Scrapes over one kept connection, as Prometheus does."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)
        self.last = (b"", 0)

    def scrape(self) -> float:
        """Scrape once and return the seconds it took."""
        started = time.perf_counter()
        self._connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        packed = self._connection.getresponse().read()
        took = time.perf_counter() - started
        self.last = (gzip.decompress(packed), len(packed))
        return took

    def scrapes(self, count: int, interval: float) -> list[float]:
        """Scrape ``count`` times, ``interval`` seconds apart."""
        took = []
        for _ in range(count):
            took.append(self.scrape())
            time.sleep(max(0.0, interval - took[-1]))
        return took


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of the agent and of the Engine in a span of seconds."""

    agent: float
    engine: float
    seconds: float


def _cpu_during(pid: int, engine_pids: list[int], work: Callable[[], object]) -> Spent:
    started, agent, engine = time.monotonic(), cpu_seconds(pid), sum(map(cpu_seconds, engine_pids))
    work()
    return Spent(
        cpu_seconds(pid) - agent, sum(map(cpu_seconds, engine_pids)) - engine, time.monotonic() - started
    )


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process, in seconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended while we looked
    return total / 1e9


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _engine_pids(engine: PrivateEngine) -> list[int]:
    """Return dockerd, its containerd and its shims."""
    marks = str(engine.root).encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        program = line.split(b"\0")[0].rpartition(b"/")[2]
        if program in (b"dockerd", b"containerd", b"containerd-shim-runc-v2") and marks in line:
            found.append(int(folder.name))
    return found


def _floor(engine: PrivateEngine, scrapes: int) -> float:
    """Return the CPU of the least that an exporter in plain Python can do for these containers, in ms."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.exporter_floor", engine.host, str(scrapes)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout)["cpu_ms_per_scrape"])


def _table(results: list[Result]) -> str:
    names = [name for name in asdict(results[0]) if name != "engine_calls"]
    rows = [[name, *(str(asdict(result)[name]) for result in results)] for name in names]
    width = max(map(len, names))
    return "\n".join(f"{row[0]:<{width}}  " + "  ".join(f"{cell:>10}" for cell in row[1:]) for row in rows)


if __name__ == "__main__":
    main()
