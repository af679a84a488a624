"""How long it takes until alerts are on disk, and how many transactions a second there can be. Prints JSON.

    python -m bench.remediation_journal --rate 500 --group 50 --seconds 30 [--state-dir DIR]

``steady``: groups of alerts come at a fixed rate, whether or not the ones before are acknowledged; meanwhile
a second thread takes them out of the inbox and writes a decision for each, as the engine does. The time of an
acknowledgement counts from the moment at which its group was to come. ``full``: so many threads as given each
write one alert after the other. ``fsync`` is what the disk itself takes to have 4 KiB.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import FileIO
from pathlib import Path
from typing import Any

from remediation.journal import Journal, Tx, verify_audit
from remediation.model import Signal, Source

# Alertmanager opens a connection for each group; the receiver has threads for so many at the same time.
_RECEIVERS = 16
_FSYNCS = 100
_TAKEN_AT_ONCE = 200
_PAUSE_SECONDS = 0.02


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and tell by the exit status whether all that was acknowledged is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=500.0, help="alerts a second")
    parser.add_argument("--group", type=int, default=50, help="alerts in a group")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--state-dir", type=Path, help="on the disk that is to be measured")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=asked.state_dir) as folder:
        found = measure(Path(folder), asked)
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, indent=2))
    return int(found["audit_broken"] > 0 or found["missing"] > 0)


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run both parts in a fresh journal."""
    with closing(Journal(folder)) as journal:
        found = {
            "fsync_ms": _spread(fsyncs(folder / "probe")),
            "steady": steady(journal, asked.rate, asked.group, asked.seconds),
            "full": full(journal, asked.threads, asked.seconds),
        }
        verdict = verify_audit(folder)
        acknowledged = found["steady"]["alerts"] + found["full"]["alerts"]
        decided = found["steady"]["decided"]
        size = (folder / "remediation.db").stat().st_size
    missing = acknowledged + decided - verdict.entries
    return {**found, "audit_broken": verdict.broken, "missing": missing, "file_bytes": size}


def steady(journal: Journal, rate: float, group: int, seconds: float) -> dict[str, Any]:
    """Give groups to a few receivers at a fixed rate."""
    stop = threading.Event()
    engine = _Engine(journal, stop)
    groups = round(rate * seconds / group)
    began, commits = time.monotonic(), journal.commits

    def receive(number: int) -> float:
        wanted = began + number * group / rate
        time.sleep(max(0.0, wanted - time.monotonic()))
        journal.receive(alerts(number, group))
        return time.monotonic() - wanted

    with ThreadPoolExecutor(_RECEIVERS) as pool:
        waits = list(pool.map(receive, range(groups)))
    took = time.monotonic() - began
    stop.set()
    engine.join()
    return {
        "alerts": groups * group,
        "decided": engine.decided,
        "alerts_per_second": round(groups * group / took, 1),
        "commits_per_second": round((journal.commits - commits) / took, 1),
        "acknowledged_ms": _spread(waits),
    }


def full(journal: Journal, threads: int, seconds: float) -> dict[str, Any]:
    """Write single alerts as fast as it goes."""
    began, commits = time.monotonic(), journal.commits

    def write(thread: int) -> list[float]:
        waits = []
        while (asked := time.monotonic()) < began + seconds:
            journal.receive(alerts(thread, 1))
            waits.append(time.monotonic() - asked)
        return waits

    with ThreadPoolExecutor(threads) as pool:
        waits = [wait for each in pool.map(write, range(threads)) for wait in each]
    took = time.monotonic() - began
    return {
        "alerts": len(waits),
        "alerts_per_second": round(len(waits) / took, 1),
        "commits_per_second": round((journal.commits - commits) / took, 1),
        "acknowledged_ms": _spread(waits),
    }


def fsyncs(path: Path) -> list[float]:
    """Return what single writes with fsync take, in seconds."""
    with path.open("wb", buffering=0) as file:
        return [_fsync(file) for _ in range(_FSYNCS)]


def alerts(number: int, count: int) -> list[Signal]:
    """Return a group of alerts about as many containers, of about the size that Alertmanager's have."""
    return [
        Signal(
            source=Source.ALERTMANAGER,
            name="ContainerUnhealthy",
            fingerprint=f"{number:08x}{place:08x}",
            firing=True,
            starts_at=time.time(),
            received_at=time.time(),
            labels={
                "alertname": "ContainerUnhealthy",
                "name": f"shop-web-{place}",
                "id": f"{place:012x}",
                "compose_project": "shop",
                "compose_service": "web",
                "instance": "127.0.0.1:9417",
                "job": "docker",
                "severity": "warning",
            },
            annotations={"summary": f"The health check of shop-web-{place} fails for more than a minute."},
        )
        for place in range(count)
    ]


class _Engine(threading.Thread):
    """Takes signals out of the inbox and writes down a decision about each."""

    def __init__(self, journal: Journal, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.decided = 0
        self._journal = journal
        self._ended = stop
        self.start()

    def run(self) -> None:
        """Go on until it is told to stop."""
        while not self._ended.wait(_PAUSE_SECONDS):
            rows = self._journal.read(lambda view: view.inbox(_TAKEN_AT_ONCE))
            if rows:
                self._journal.write(lambda tx, rows=rows: _decide(tx, rows))  # type: ignore[misc]
                self.decided += len(rows)


def _decide(tx: Tx, rows: Sequence[tuple[int, Signal]]) -> None:
    for _, signal in rows:
        tx.note_occurrence(signal)
        tx.audit("decided", {"fingerprint": signal.fingerprint}, {"decision": "no_policy"})
    tx.handled([number for number, _ in rows])


def _fsync(file: FileIO) -> float:
    began = time.monotonic()
    file.write(bytes(4096))
    os.fsync(file.fileno())
    return time.monotonic() - began


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
        for name, share in places.items()
    }


if __name__ == "__main__":
    raise SystemExit(main())
