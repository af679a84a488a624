"""What tracing costs the roles that do not act: scrapes of the exporter, and lines of the log forwarder.

Of each role two run side by side, one that does not trace and one that exports to a collector. The exporters
are on one private Engine and are scraped in turns; the forwarders follow the same log files at the same time.
What is printed for each turn is the CPU of both, and at the end the median of what the traced one took more.

    python -m bench.tracing_roles --turns 10
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.exporter import Client, cpu_seconds
from bench.fleet import Fleet
from bench.forwarder_process import Forwarder
from bench.patients import wait_until
from compose_agent.tracing.fake.collector import FakeCollector
from lab.agent import Agent
from lab.engine import PrivateEngine

OFF, ON = "off", "collector"
_CONTAINERS, _SCRAPES = 20, 20
_RATE, _LOGGING = 10_000, 4
_TURN_SECONDS = 5.0
_SENT = "log_forwarder_sent_events_total"
_PATIENCE_SECONDS = 300.0

Spent = Mapping[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--turns", type=int, default=10)
    asked = parser.parse_args(argv)
    for part in asked.parts or PARTS:
        turns: list[Spent] = []
        for turn in PARTS[part](asked.turns):
            turns.append(turn)
            print(
                json.dumps({"part": part, **turn, "load_average": round(os.getloadavg()[0], 2)}), flush=True
            )
        print(json.dumps({"part": part, **summary(turns)}))
    return 0


def summary(turns: Sequence[Spent]) -> Mapping[str, float]:
    """Return the median of the plain one, and how much more the traced one took in the same turn."""
    more = statistics.median(each[ON] / each[OFF] for each in turns)
    return {
        OFF: round(statistics.median(each[OFF] for each in turns), 3),
        "percent_more": round(100 * (more - 1), 1),
    }


def scrapes(turns: int) -> Iterator[Spent]:
    """Yield the CPU milliseconds of a scrape."""
    with ExitStack() as stack:
        engine = stack.enter_context(PrivateEngine())
        Fleet(engine).grow(_CONTAINERS)
        agents = {
            mode: stack.enter_context(Agent(engine.host, options))
            for mode, options in _options(stack).items()
        }
        clients = {}
        for mode, agent in agents.items():
            agent.wait_ready()
            clients[mode] = Client(agent.url)
            clients[mode].scrapes(_SCRAPES, 0.0)  # files are open, templates are made
        for number in range(turns):
            order = sorted(agents, reverse=bool(number % 2))
            yield {mode: _scraped(agents[mode], clients[mode]) for mode in order}


def _scraped(agent: Agent, client: Client) -> float:
    assert agent.process is not None
    before = cpu_seconds(agent.process.pid)
    client.scrapes(_SCRAPES, 0.0)
    return round((cpu_seconds(agent.process.pid) - before) / _SCRAPES * 1000, 3)


def lines(turns: int) -> Iterator[Spent]:
    """Yield the CPU milliseconds in each second in which a number of lines is written and sent."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracing-roles-")))
        root = folder / "docker"
        (root / "containers").mkdir(parents=True)
        forwarders: dict[str, Forwarder] = {}
        for mode, options in _options(stack).items():
            (folder / mode).mkdir()
            word = f"fluentd://127.0.0.1:{stack.enter_context(_sink())}"
            plain = [each for each in options if not each.startswith("--state-dir")]
            forwarders[mode] = Forwarder(root, folder / mode, [word], plain)
            stack.callback(forwarders[mode].close)
            forwarders[mode].start()
        for each in forwarders.values():
            each.wait_ready()
        wanted = int(_RATE * _TURN_SECONDS * (turns + 1))
        stack.enter_context(_writer(root, wanted))
        time.sleep(_TURN_SECONDS)  # whatever is loaded with the first lines
        for _ in range(turns):
            yield _during(_TURN_SECONDS, {mode: each.pid for mode, each in forwarders.items()})
        for each in forwarders.values():
            wait_until(_all_sent(each, wanted), "not all was delivered", _PATIENCE_SECONDS)


def _all_sent(forwarder: Forwarder, wanted: int) -> Callable[[], bool]:
    return lambda: forwarder.metric(_SENT) >= wanted


def _during(seconds: float, pids: Mapping[str, int]) -> Spent:
    before = {mode: cpu_seconds(pid) for mode, pid in pids.items()}
    time.sleep(seconds)
    return {mode: round((cpu_seconds(pid) - before[mode]) / seconds * 1000, 3) for mode, pid in pids.items()}


def _options(stack: ExitStack) -> Mapping[str, Sequence[str]]:
    """Return the options of the one that does not trace, and of the one that does."""
    collector = stack.enter_context(FakeCollector())
    state = stack.enter_context(tempfile.TemporaryDirectory(prefix="tracing-roles-state-"))
    return {
        OFF: ["--no-tracing.enabled"],
        ON: [f"--tracing.endpoint={collector.url}", f"--state-dir={state}"],
    }


@contextmanager
def _sink() -> Iterator[int]:
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
def _writer(root: Path, count: int) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.dockerlogs", f"--root={root}", f"--lines={count}", "--even"]
    command += [f"--rate={_RATE}", f"--containers={_LOGGING}", "--max-size=10m", "--max-file=3"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as writer:
        try:
            yield
        finally:
            writer.terminate()


PARTS: Mapping[str, Callable[[int], Iterator[Spent]]] = {"scrapes": scrapes, "lines": lines}

if __name__ == "__main__":
    sys.exit(main())
