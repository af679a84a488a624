"""What tracing costs the remediation role: CPU, memory, and microseconds for one span.

Three roles run side by side on one Engine: one that does not trace, one that keeps its spans on disk, and one
that exports them. In turns each is sent alerts about the same few containers and restarts every one of them;
the CPU time of its process until all is verified and exported counts, and is compared with that of the others
in the same turn, so that what else the machine does meets all of them alike.

It is the role's own process and nothing else: neither the Engine nor who sends the alerts is in the figures.
The fake Engine answers at once, so that there is nothing to do but what the role does; with ``--engine real``
containers are restarted in earnest, on a private Engine.

Printed are JSON for each turn, then the CPU of both kinds of tracing beside that of none, the memory of each,
and what one span takes in the thread that makes it, beside one of the SDK alone that goes nowhere.

    python -m bench.tracing_cost --turns 12 --actions 60
    python -m bench.tracing_cost --engine real --turns 6 --actions 8
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from bench.chain import ALERT, JOB, UNLIMITED, Remediation, policies
from bench.patients import Ward, fake_ward, real_ward, wait_until
from bench.remediation_plan import Patient
from compose_agent.config import Schema, Section
from compose_agent.config.resolve import resolve
from compose_agent.tracing import pipeline, tracer
from compose_agent.tracing.fake.collector import FakeCollector
from compose_agent.tracing.settings import TracingSettings
from lab.engine import PrivateEngine
from lab.lines import LINES
from remediation.journal import look

_PATIENCE_SECONDS = 300.0
# What is exported belongs to a turn; more than the pause between two exports.
_SETTLE_SECONDS = 6.0
_ROUNDS, _SPANS = 15, 2_000
_KIB = 1024
_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Turn:
    """CPU milliseconds of each role for one action."""

    off: float
    spool: float
    collector: float
    load_average: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    asked = _arguments(argv)
    names = [f"cost-{number}" for number in range(asked.actions)]
    turns: list[Turn] = []
    with _ward(asked.engine) as ward, FakeCollector() as collector, ExitStack() as stack:
        for name in names:
            ward.admit(Patient(name, True, False, 0.0, 0.0, ()))
        modes = {
            "off": ["--no-tracing.enabled"],
            "spool": [],
            "collector": [f"--tracing.endpoint={collector.url}"],
        }
        roles = {
            mode: stack.enter_context(Remediation(ward.host, policies("any"), [*UNLIMITED, *options]))
            for mode, options in modes.items()
        }
        orders = [*permutations(roles)]  # who comes first pays for what has happened meanwhile
        for number in range(-1, asked.turns):  # the first one has everything loaded, and does not count
            spent = {mode: _milliseconds(roles[mode], names) for mode in orders[number % len(orders)]}
            if number >= 0:
                turns.append(Turn(**spent, load_average=round(os.getloadavg()[0], 2)))
                print(json.dumps(asdict(turns[-1])), flush=True)
        mib = {mode: round(_rss_mib(role), 1) for mode, role in roles.items()}
        spans = {"span_us": span_microseconds(collector.url), "sdk_alone_us": sdk_microseconds()}
    print(json.dumps({**summary(turns), "mib": mib, **spans}))
    return 0


def summary(turns: Sequence[Turn]) -> Mapping[str, object]:
    """Return the medians over turns of what is compared within each of them."""
    spool = statistics.median(each.spool / each.off for each in turns)
    collector = statistics.median(each.collector / each.off for each in turns)
    return {
        "ms_per_action": round(statistics.median(each.off for each in turns), 2),
        "percent_spool": round(100 * (spool - 1), 1),
        "percent_collector": round(100 * (collector - 1), 1),
    }


def span_microseconds(endpoint: str) -> float:
    """Return the CPU time of one span with four attributes, in the thread that makes it."""
    schema = Schema([Section("tracing", TracingSettings, "Tracing")])
    settings = replace(resolve(schema, [{}]).of(TracingSettings), sample_ratio=1.0)
    with tempfile.TemporaryDirectory() as folder:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        running = pipeline.start("remediation", settings, Path(folder), environ)
        assert running is not None
        took = _microseconds(tracer(__name__))
        running.stop(10.0)
    return took


def sdk_microseconds() -> float:
    """Return the same for a span of the SDK that nobody hears of."""
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    return _microseconds(provider.get_tracer(__name__))


def _microseconds(make: trace.Tracer) -> float:
    attributes: Mapping[str, str | int] = {
        "container.id": "f" * 64,
        "container.name": "shop-web-1",
        "compose_agent.attempt": 1,
    }
    found = []
    for _ in range(_ROUNDS):
        began = time.thread_time()
        for _ in range(_SPANS):
            with make.start_as_current_span("execute restart", attributes=attributes) as span:
                span.set_attribute("compose_agent.result", "done")
        found.append((time.thread_time() - began) / _SPANS * 1e6)
    return round(statistics.median(found), 1)


@contextmanager
def _ward(kind: str) -> Iterator[Ward]:
    with ExitStack() as stack:
        if kind == "real":
            engine = stack.enter_context(PrivateEngine(LINES[-1]))
            yield stack.enter_context(real_ward(engine.host))
        else:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            yield stack.enter_context(fake_ward(home))


def _milliseconds(role: Remediation, names: Sequence[str]) -> float:
    """Have every container restarted once, and return the CPU time that it took for one."""
    role.wait_ready()
    spent = _cpu_clock(role)
    before, began = spent(), time.time()
    for name in names:
        post(role.webhook, name, began)
    wait_until(lambda: _ended_since(role, began, len(names)), "not all was done", _PATIENCE_SECONDS)
    for name in names:
        post(role.webhook, name, began, time.time())
    time.sleep(_SETTLE_SECONDS)
    return round((spent() - before) / len(names) * 1000, 3)


def _ended_since(role: Remediation, began: float, number: int) -> bool:
    with look(role.state_dir) as view:
        found = [intent for _, intent in view.latest_intents(number)]
    return len(found) == number and all(each.created_at >= began and each.ended_at for each in found)


def post(webhook: str, name: str, starts: float = 0.0, ends: float = 0.0) -> None:
    """Send an alert about a container, as Alertmanager does; times are Unix seconds, 0 is now or never."""
    labels = {"alertname": ALERT, "job": JOB, "name": name}
    status = "resolved" if ends else "firing"
    alert = {"status": status, "labels": labels, "startsAt": _rfc3339(starts or time.time())}
    alert |= {"endsAt": _rfc3339(ends) if ends else _NEVER, "annotations": {}, "fingerprint": ""}
    body = {"version": "4", "status": status, "receiver": "x", "groupKey": name, "alerts": [alert]}
    request = urllib.request.Request(  # noqa: S310 - our own
        webhook, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        response.read()


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _cpu_clock(role: Remediation) -> Callable[[], float]:
    """Return what gives the CPU seconds of a role's process, as clock_getcpuclockid(3) names them."""
    assert role.process is not None
    clock = ~role.process.pid << 3 | 2
    return lambda: time.clock_gettime(clock)


def _rss_mib(role: Remediation) -> float:
    assert role.process is not None
    lines = Path(f"/proc/{role.process.pid}/status").read_text(encoding="utf-8").splitlines()
    (line,) = (each for each in lines if each.startswith("VmRSS:"))
    return int(line.split()[1]) / _KIB


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=("fake", "real"), default="fake")
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--actions", type=int, default=60, help="containers that are restarted in a turn")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
