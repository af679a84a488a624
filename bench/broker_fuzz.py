"""Fuzz both sockets of the broker, in front of a fake Engine that writes down what it is asked. Prints JSON.

    python -m bench.broker_fuzz --cases 100000 --seed 1

The broker is the real program. Each case is one connection: bytes (see broker_requests), the end of our
side, and whatever comes back. Exit status 1 if the Engine was asked for anything that is not on the list, an
answer was a failure (500, 502, 504), a connection hung, or the broker did not live on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.broker_requests import NAMES, case
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient
from lab.agent import Agent

# Written out once more, so that a mistake in the broker's own list shows.
_ID = r"[a-zA-Z0-9][a-zA-Z0-9_.-]*"
_READ_CALLS = re.compile(
    r"(GET|HEAD) /(_ping|version|info|events|containers/json|images/json|volumes|networks|system/df|services"
    rf"|tasks|nodes|containers/{_ID}/(json|stats|logs|top))"
)
_ACT_CALLS = re.compile(
    r"GET /(_ping|events|info|containers/json|containers/[0-9a-f]{64}/json)"
    r"|POST /containers/[0-9a-f]{64}/(restart|stop|start|pause|unpause|kill|exec)"
)
_STATUS = re.compile(rb"(?:^|\n|\})HTTP/1\.[01] ([0-9]{3}) ")
# 501, 503 and 505 are the client's doing; the fake Engine is there, and answers at once.
_FAILURES = {"500", "502", "504"}
_CONNECTIONS = 4
# A connection that is not closed by then hangs: everything that the broker waits for ends sooner.
_HANG_SECONDS = 60.0
_SHOWN = 5
_FREE = "127.0.0.1:0"


@dataclass
class Tally:
    """What came back on one socket."""

    statuses: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)
    hung: list[int] = field(default_factory=list)

    def note(self, number: int, answer: bytes | None) -> None:
        """Count the answers to a case; None for one that never ended."""
        if answer is None:
            self.hung.append(number)
            return
        found = [status.decode() for status in _STATUS.findall(answer)]
        self.statuses.update(found or ["none"])
        if _FAILURES.intersection(found):
            self.failed.append(number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000, help="for both sockets together")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    found = fuzz(asked.cases, asked.seed)
    print(json.dumps(found))
    bad = ("outside_the_list", "failed", "hung", "tracebacks")
    return int(any(found[each] for each in bad) or not found["alive"])


def fuzz(cases: int, seed: int) -> dict[str, Any]:
    """Return what was seen."""
    with FakeEngine() as engine, tempfile.TemporaryDirectory(prefix="broker-fuzz-") as state:
        ids = tuple(
            engine.add_container(name, labels={"compose-agent.remediate": "restart"}) for name in NAMES
        )
        options = [f"--state-dir={state}", "--budget.target=1000000", "--budget.host=1000000"]
        options += [f"--web.listen-address={_FREE}", "--log.level=error"]
        with Agent(engine.url, options, command="broker", role="broker") as broker:
            broker.wait_ready()
            return _campaign(engine, broker, ids, cases, seed)


def _campaign(
    engine: FakeEngine, broker: Agent, ids: tuple[str, ...], cases: int, seed: int
) -> dict[str, Any]:
    started, rss = time.monotonic(), _rss_mib(broker)
    found: dict[str, Any] = {"cases": cases, "seed": seed, "rss_mib": {"before": rss}}
    outside: Counter[str] = Counter()
    failed, hung = [], []
    for name, allowed in (("read", _READ_CALLS), ("act", _ACT_CALLS)):
        engine.forget_requests()
        tally = _send_all(broker.run_dir / f"{name}.sock", name, ids, cases // 2, seed)
        calls = engine.requests()
        outside += Counter({call: count for call, count in calls.items() if not allowed.fullmatch(call)})
        failed += [f"{name} {number}" for number in tally.failed]
        hung += [f"{name} {number}" for number in tally.hung]
        found["rss_mib"][f"after {name}"] = _rss_mib(broker)
        found[name] = {"statuses": dict(sorted(tally.statuses.items())), "engine_calls": _by_kind(calls)}
    return found | {
        "outside_the_list": dict(outside),
        "failed": failed[:_SHOWN],
        "hung": hung[:_SHOWN],
        "tracebacks": broker.log.read_text().count("Traceback"),
        "alive": _is_alive(broker),
        "seconds": round(time.monotonic() - started, 1),
        "load_average": os.getloadavg()[0],
    }


def _send_all(path: Path, name: str, ids: tuple[str, ...], cases: int, seed: int) -> Tally:
    tally = Tally()

    def send(number: int) -> tuple[int, bytes | None]:
        return number, _exchange(path, case(seed, number, ids, name))

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for number, answer in pool.map(send, range(cases)):
            tally.note(number, answer)
    return tally


def _exchange(path: Path, data: bytes) -> bytes | None:
    """Return everything that comes back until the broker closes; None if it does not."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_HANG_SECONDS)
        sock.connect(str(path))
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        pieces = []
        try:
            while piece := sock.recv(65536):
                pieces.append(piece)
        except TimeoutError:
            return None
        except ConnectionResetError:
            pass  # it refused before it had read everything
        return b"".join(pieces)


def _by_kind(calls: Counter[str]) -> dict[str, int]:
    kinds: Counter[str] = Counter()
    for call, count in calls.items():
        kinds[re.sub(r"/containers/(?!json$)[^/]+", "/containers/{id}", call)] += count
    return dict(kinds.most_common())


def _is_alive(broker: Agent) -> bool:
    if broker.process is None or broker.process.poll() is not None:
        return False
    try:
        return all(LocalClient(broker.run_dir, name).ready().ready for name in ("read", "act", "broker"))
    except ComposeAgentError:
        return False


def _rss_mib(broker: Agent) -> float:
    assert broker.process is not None
    status = Path(f"/proc/{broker.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return round(int(found[1]) / 1024, 1)


if __name__ == "__main__":
    sys.exit(main())
