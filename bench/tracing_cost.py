"""What tracing costs the remediation role: CPU seconds, memory, and microseconds for one span.

The same alerts about the same containers of a fake Engine are sent to a role that does not trace, one that
keeps its spans on disk, and one that exports them; in turns, several times. Printed are JSON for each turn,
the CPU of both kinds of tracing beside that of none, and what one span takes in the thread that makes it.

    python -m bench.tracing_cost --actions 200 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.chain import ALERT, JOB, UNLIMITED, Remediation, policies
from bench.patients import Ward, fake_ward, wait_until
from bench.remediation_plan import Patient
from compose_agent.config import Schema, Section
from compose_agent.config.resolve import resolve
from compose_agent.tracing import pipeline, tracer
from compose_agent.tracing.fake.collector import FakeCollector
from compose_agent.tracing.settings import TracingSettings
from remediation.journal import look
from remediation.model import LIVE, Intent

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE_SECONDS = 300.0
# So that the interpreter has everything loaded before it is measured.
_WARM_UP = 5
_SPANS = 20_000
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Turn:
    """One role that has acted so often: its CPU seconds for that, and its memory before and after, in MiB."""

    mode: str
    actions: int
    cpu_seconds: float
    ready_mib: float
    after_mib: float
    load_average: float


def turn(mode: str, options: Sequence[str], ward: Ward, names: Sequence[str]) -> Turn:
    """Have every container restarted once, and a few before that to warm up."""
    with Remediation(ward.host, policies("any"), [*UNLIMITED, *options]) as role:
        role.wait_ready()
        _act(role, names[:_WARM_UP])
        time.sleep(2.0)  # its first export loads what the others need too
        assert role.process is not None
        pid = role.process.pid
        before, ready = _cpu_seconds(pid), _rss_mib(pid)
        _act(role, names[_WARM_UP:])
        time.sleep(2.0)  # what is exported belongs to it
        return Turn(
            mode=mode,
            actions=len(names) - _WARM_UP,
            cpu_seconds=round(_cpu_seconds(pid) - before, 2),
            ready_mib=round(ready, 1),
            after_mib=round(_rss_mib(pid), 1),
            load_average=round(os.getloadavg()[0], 2),
        )


def span_microseconds(endpoint: str) -> float:
    """Return the CPU time of one span with four attributes, in the thread that makes it."""
    schema = Schema([Section("tracing", TracingSettings, "Tracing")])
    settings = replace(resolve(schema, [{}]).of(TracingSettings), sample_ratio=1.0)
    with tempfile.TemporaryDirectory() as folder:
        running = pipeline.start(
            "remediation", settings, Path(folder), {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        )
        assert running is not None
        make = tracer(__name__)
        attributes: Mapping[str, str | int] = {
            "container.id": "f" * 64,
            "container.name": "shop-web-1",
            "compose_agent.attempt": 1,
        }
        began = time.thread_time()
        for _ in range(_SPANS):
            with make.start_as_current_span("execute restart", attributes=attributes) as span:
                span.set_attribute("compose_agent.result", "done")
        took = time.thread_time() - began
        running.stop(10.0)
    return took / _SPANS * 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--actions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(argv)
    names = [f"cost-{number}" for number in range(asked.actions + _WARM_UP)]
    turns: list[Turn] = []
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ward = stack.enter_context(fake_ward(home))
        collector = stack.enter_context(FakeCollector())
        for name in names:
            ward.admit(Patient(name, True, False, 0.0, 0.0, ()))
        modes = {
            "off": ["--no-tracing.enabled"],
            "spool": [],
            "collector": [f"--tracing.endpoint={collector.url}"],
        }
        for number in range(asked.rounds):
            for mode in sorted(modes, reverse=bool(number % 2)):
                turns.append(turn(mode, modes[mode], ward, names))
                print(json.dumps(asdict(turns[-1])), flush=True)
        span = span_microseconds(collector.url)
    print(json.dumps({**summary(turns), "span_microseconds": round(span, 1)}))
    return 0


def summary(turns: Sequence[Turn]) -> Mapping[str, object]:
    """Return the medians, as ratios to those of a role that does not trace."""

    def of(mode: str) -> float:
        return statistics.median(each.cpu_seconds for each in turns if each.mode == mode)

    def mib(mode: str) -> float:
        return max(each.after_mib for each in turns if each.mode == mode)

    return {
        "cpu_ms_per_action": round(1000 * of("off") / turns[0].actions, 2),
        "cpu_percent_spool": round(100 * (of("spool") / of("off") - 1), 1),
        "cpu_percent_collector": round(100 * (of("collector") / of("off") - 1), 1),
        "mib": {mode: mib(mode) for mode in ("off", "spool", "collector")},
    }


def _act(role: Remediation, names: Sequence[str]) -> None:
    for name in names:
        post(role.webhook, name)
    wait_until(lambda: _ended(role) >= len(names) and _is_idle(role), "not all was done", _PATIENCE_SECONDS)


def _ended(role: Remediation) -> int:
    return sum(bool(each.ended_at) for each in _intents(role))


def _is_idle(role: Remediation) -> bool:
    return not any(each.state in LIVE for each in _intents(role))


def _intents(role: Remediation) -> Sequence[Intent]:
    with look(role.state_dir) as view:
        return [intent for _, intent in view.latest_intents(10_000)]


def post(webhook: str, name: str) -> None:
    """Send an alert about a container, as Alertmanager does."""
    labels = {"alertname": ALERT, "job": JOB, "name": name}
    alert = {"status": "firing", "labels": labels, "startsAt": "2026-01-01T00:00:00Z"}
    alert |= {"endsAt": "0001-01-01T00:00:00Z", "annotations": {}, "fingerprint": ""}
    body = {"version": "4", "status": "firing", "receiver": "x", "groupKey": name, "alerts": [alert]}
    request = urllib.request.Request(  # noqa: S310 - our own
        webhook, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        response.read()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    (line,) = (each for each in lines if each.startswith("VmRSS:"))
    return int(line.split()[1]) / _KIB


if __name__ == "__main__":
    sys.exit(main())
