"""What the log forwarder costs: lines per CPU-second from a backlog, CPU, memory and latency in steady state.

Parts: ``backlog`` (plain and with gzip, each beside the bare path of bench.forwarder_floor in the same run),
``steady``, ``idle``, ``down`` (no sink there). CPU is that of the forwarder's process, all threads.

    python -m bench.forwarder [backlog steady idle down] --lines 1000000 --rate 10000 --seconds 60
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import truediv
from pathlib import Path

from bench.dockerlogs import Writer, shares
from bench.forwarder_process import Forwarder, Usage
from bench.jsonfile_driver import Rotation
from lab import LabError
from lab.loopback import free_port
from log_forwarder.fake.forward import ForwardServer

SENT = "log_forwarder_sent_events_total"
_BACKLOG_CONTAINERS, _STEADY_CONTAINERS, _IDLE_CONTAINERS = 4, 50, 100
# The machine's clock rate changes within a run: each turn has the forwarder and the bare path side by side.
_TURNS = 5
# Slower than this, with both cores taken by others, is a failure.
_SLOWEST_LINES_PER_SECOND = 5_000.0
_LEAST_SECONDS = 60.0
# Rarely, because it is the forwarder that pays for the answer.
_POLL_SECONDS = 0.5
# Containers are looked at more rarely when they have been silent for half a minute.
_SILENCE_SECONDS = 35.0
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a bench."""

    lines: int
    rate: float
    seconds: float


Result = Mapping[str, float | int | str]


def backlog(asked: Asked) -> Iterator[Result]:
    """Ship a backlog, plain and packed, and have the bare path ship the same one."""
    with tempfile.TemporaryDirectory(prefix="forwarder-bench-") as folder:
        root = Path(folder) / "docker"
        writer = Writer(root, Rotation(), shares(_BACKLOG_CONTAINERS, even=True))
        writer.backlog(asked.lines)
        size = sum(each.bytes for each in writer.written()) / asked.lines
        for packed in (False, True):
            home = Path(folder) / f"home-{packed}"
            yield {
                "part": "backlog",
                "bytes_per_line": round(size),
                **_ship(root, home, asked, packed=packed),
            }


def _ship(root: Path, home: Path, asked: Asked, *, packed: bool) -> Result:
    """Ship everything in turn with the bare path; figures are medians of turns, also the ratio."""
    turns = [_turn(root, home / str(number), asked, packed=packed) for number in range(_TURNS)]
    start_cpu = _cost_of_start(home)
    own = [asked.lines / (used.cpu_seconds - start_cpu) for _, _, used in turns]
    bare = [each for each, _, _ in turns]
    return {
        "gzip": int(packed),
        "lines": asked.lines,
        "turns": _TURNS,
        "seconds": round(statistics.median(took for _, took, _ in turns), 1),
        "lines_per_cpu_second": round(statistics.median(own)),
        "with_start": round(statistics.median(asked.lines / used.cpu_seconds for _, _, used in turns)),
        "bare_lines_per_cpu_second": round(statistics.median(bare)),
        "of_bare": round(statistics.median(map(truediv, own, bare)), 2),
        "rss_peak_mib": round(max(used.peak_bytes for _, _, used in turns) / _MIB, 1),
    }


def _turn(root: Path, home: Path, asked: Asked, *, packed: bool) -> tuple[float, float, Usage]:
    """Return the lines per CPU-second of the bare path, and the seconds and usage of the forwarder."""
    with _counting_sink() as port:
        bare = _bare(root, port, packed=packed)
    with _counting_sink() as port, _forwarder(root, home, _word(port, packed=packed)) as forwarder:
        started = time.monotonic()
        limit = _LEAST_SECONDS + asked.lines / _SLOWEST_LINES_PER_SECOND
        _wait(lambda: forwarder.metric(SENT) >= asked.lines, limit, forwarder)
        return bare, time.monotonic() - started, forwarder.usage()


def _bare(root: Path, port: int, *, packed: bool) -> float:
    command = [sys.executable, "-m", "bench.forwarder_floor", str(root), str(port)]
    done = subprocess.run(
        [*command, *(["--gzip"] if packed else [])], stdout=subprocess.PIPE, check=True, text=True
    )
    said = json.loads(done.stdout)
    return float(said["lines"] / said["cpu_seconds"])


def _cost_of_start(home: Path) -> float:
    """Return the CPU seconds of a forwarder that has nothing to do: imports, state, listeners."""
    empty = home / "empty"
    (empty / "containers").mkdir(parents=True)
    with _forwarder(empty, empty, _word(free_port())) as forwarder:
        return forwarder.usage().cpu_seconds


def steady(asked: Asked) -> Iterator[Result]:
    """Write at a rate, and measure from the writing of a line to its arrival."""
    latencies = array("d")

    def arrived(_tag: str, written_ns: int, _record: object) -> None:
        latencies.append((time.time_ns() - written_ns) / 1e6)

    lines = int(asked.rate * asked.seconds)
    with (
        tempfile.TemporaryDirectory(prefix="forwarder-bench-") as folder,
        ForwardServer(on_event=arrived) as server,
        _forwarder(_root(folder), Path(folder), _word(server.port)) as forwarder,
    ):
        before = forwarder.usage().cpu_seconds
        _write(_root(folder), lines, asked.rate, _STEADY_CONTAINERS)
        _wait(lambda: len(latencies) >= lines, _LEAST_SECONDS, forwarder)
        used = forwarder.usage()
    ordered = sorted(latencies)
    yield {
        "part": "steady",
        "lines": lines,
        "rate": asked.rate,
        "containers": _STEADY_CONTAINERS,
        "cpu_seconds_per_million": round((used.cpu_seconds - before) / lines * 1e6, 2),
        "rss_peak_mib": round(used.peak_bytes / _MIB, 1),
        "latency_p50_ms": round(statistics.median(ordered), 1),
        "latency_p99_ms": round(ordered[int(len(ordered) * 0.99)], 1),
        "latency_max_ms": round(ordered[-1], 1),
    }


def idle(asked: Asked) -> Iterator[Result]:
    """Let containers be silent."""
    with tempfile.TemporaryDirectory(prefix="forwarder-bench-") as folder, _counting_sink() as port:
        Writer(_root(folder), Rotation(), shares(_IDLE_CONTAINERS, even=True)).backlog(_IDLE_CONTAINERS * 10)
        with _forwarder(_root(folder), Path(folder), _word(port)) as forwarder:
            time.sleep(_SILENCE_SECONDS)
            before = forwarder.usage().cpu_seconds
            time.sleep(asked.seconds)
            used = forwarder.usage()
    yield {
        "part": "idle",
        "containers": _IDLE_CONTAINERS,
        "percent_of_a_core": round((used.cpu_seconds - before) / asked.seconds * 100, 3),
        "rss_peak_mib": round(used.peak_bytes / _MIB, 1),
    }


def down(asked: Asked) -> Iterator[Result]:
    """Write at a rate while nobody listens."""
    lines = int(asked.rate * asked.seconds)
    with (
        tempfile.TemporaryDirectory(prefix="forwarder-bench-") as folder,
        _forwarder(_root(folder), Path(folder), _word(free_port()), ready=False) as forwarder,
    ):
        _write(_root(folder), lines, asked.rate, _STEADY_CONTAINERS)
        used = forwarder.usage()
        held = forwarder.metric("log_forwarder_held_events")
    yield {
        "part": "down",
        "lines": lines,
        "held_events": int(held),
        "cpu_seconds": round(used.cpu_seconds, 2),
        "rss_peak_mib": round(used.peak_bytes / _MIB, 1),
    }


PARTS: Mapping[str, Callable[[Asked], Iterator[Result]]] = {
    "backlog": backlog,
    "steady": steady,
    "idle": idle,
    "down": down,
}


def _root(folder: str) -> Path:
    root = Path(folder) / "docker"
    (root / "containers").mkdir(parents=True, exist_ok=True)
    return root


def _word(port: int, *, packed: bool = False) -> str:
    return f"fluentd://127.0.0.1:{port}?compress={'gzip' if packed else 'none'}"


@contextmanager
def _counting_sink() -> Iterator[int]:
    """Run the counting server as a process, so that it shares no interpreter with the bench."""
    command = [sys.executable, "-m", "log_forwarder.fake.forward"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline().rpartition(":")[2])
        finally:
            server.terminate()
            server.communicate()  # its counts: a closed pipe would be an error to it


@contextmanager
def _forwarder(root: Path, home: Path, word: str, *, ready: bool = True) -> Iterator[Forwarder]:
    home.mkdir(parents=True, exist_ok=True)
    forwarder = Forwarder(root, home, [word])
    forwarder.start()
    try:
        if ready:
            forwarder.wait_ready()
        yield forwarder
    finally:
        forwarder.close()


def _write(root: Path, lines: int, rate: float, containers: int) -> None:
    command = [sys.executable, "-m", "bench.dockerlogs", f"--root={root}", f"--lines={lines}", "--even"]
    command += [f"--rate={rate}", f"--containers={containers}", "--max-size=10m", "--max-file=3"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _wait(done: Callable[[], bool], seconds: float, forwarder: Forwarder) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        forwarder.check()
        if time.monotonic() > deadline:
            raise LabError(f"not delivered within {seconds:g} s:\n{forwarder.said()}")
        time.sleep(_POLL_SECONDS)


def main(argv: Sequence[str] | None = None) -> None:
    """Print one line of JSON for each part, with the load average beside it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the backlog")
    parser.add_argument("--rate", type=float, default=10_000.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the other parts")
    given = parser.parse_args(argv)
    for name in given.parts or PARTS:
        for result in PARTS[name](Asked(given.lines, given.rate, given.seconds)):
            print(json.dumps({**result, "load_average": round(os.getloadavg()[0], 2)}), flush=True)


if __name__ == "__main__":
    main()
