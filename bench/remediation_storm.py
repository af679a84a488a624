"""A storm of alerts: absorbed at once, acted on within the budget, and stopped when somebody says so.

On a fake Engine of 500 containers, with ``compose-agent remediate`` as a process of its own:

- ``idle``: alerts one after the other; from the request to the Engine's first event of the restart
- ``storm``: 10,000 alerts over 500 containers in groups of 50, the process killed in the middle of it; how
  long until every alert is decided on, and whether the budget of the host was ever exceeded
- ``replicas``: every replica of many services is to be restarted, and never the last healthy one
- ``freeze``: everything is being restarted, then frozen; how long until nothing begins any more

::

    python -m bench.remediation_storm
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.chain import UNHINDERED, UNLIMITED, Remediation
from bench.engine_events import EngineEvents
from bench.forwarder_process import usage_of
from bench.patients import wait_until
from bench.redelivery import Alert, notification, post_to
from bench.restarts import cycles_of
from bench.storm_replicas import replicas
from remediation.journal import look

CONTAINERS = 500
ALERTS_OF_EACH = 20
GROUP = 50
# Below what the actor allows by itself in ten minutes.
IDLE_ALERTS = 55
# As many as Alertmanager would keep open for some groups; the order among them is by chance.
_SENDERS = 8
# The budget of the storm: so many at once, then one in so many seconds.
BUDGET, REFILL_SECONDS = 20, 2.0
# What is to hold (printed beside what was found).
ABSORBED_SECONDS = 30.0
FREEZE_SECONDS = 1.0
IDLE_P99_SECONDS = 0.150
MOST_BYTES = 60 * 2**20

_PATIENCE_SECONDS = 300.0
_WATCHED_SECONDS = 10.0
_SETTLE_SECONDS = 3.0


def main(argv: Sequence[str] | None = None) -> int:
    """Perform the parts and print what was found as JSON; 1 if something that is to hold does not."""
    asked = _arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # with everything cleaned up
    parts: Mapping[str, Callable[[str], dict[str, Any]]] = {
        "idle": idle,
        "storm": storm,
        "replicas": lambda _host: replicas(send_all),
        "freeze": freeze,
    }
    good = True
    for name in asked.parts or parts:
        with fake_engine() as host:
            found = {"part": name, **parts[name](host), "load_average": round(os.getloadavg()[0], 2)}
        print(json.dumps(found), flush=True)
        good &= bool(found["good"])
    return 0 if good else 1


def idle(host: str) -> dict[str, Any]:
    """Alerts one after the other: how soon the Engine is called."""
    names = [f"demo-web-{number}" for number in range(1, IDLE_ALERTS + 1)]
    with following(host) as events, Remediation(host, policies(), UNLIMITED) as remediation:
        remediation.wait_ready()
        time.sleep(_SETTLE_SECONDS)
        post = poster(remediation)
        sent = {}
        for name in names:
            sent[name] = time.time()
            post(notification(name, [_alert("Storm0", name)], 0))
            wait_until(partial(_was_restarted, events, name), f"{name} did not restart")
        called = [_called(events, name) - sent[name] for name in names]
        p99 = statistics.quantiles(called, n=100)[98]
        return {
            "requests": len(names),
            "to_engine_ms": _spread(called),
            "rss_mib": _mib(remediation),
            "good": p99 <= IDLE_P99_SECONDS and _is_small(remediation),
        }


def storm(host: str) -> dict[str, Any]:
    """Everything at once, with a budget, and the process killed in the middle."""
    rate = f"{BUDGET}/{BUDGET * REFILL_SECONDS:.0f}s"
    options = (f"--budget.host={rate}", "--budget.global=100000/1m", "--freeze-after=100000/1m")
    bodies = list(storm_bodies())
    with following(host) as events, Remediation(host, policies(), options) as remediation:
        remediation.wait_ready()
        began = time.time()
        first = send_all(remediation, bodies[: len(bodies) // 2])
        peak = usage_of(_pid(remediation)).peak_bytes
        remediation.kill()
        remediation.start()
        second = send_all(remediation, bodies[len(bodies) // 2 :])
        wait_until(lambda: is_absorbed(remediation), "the storm was not absorbed", _PATIENCE_SECONDS)
        absorbed = time.time() - began
        time.sleep(_WATCHED_SECONDS)
        cycles = sorted(at for ats in cycles_of(events.all()).values() for at in ats)
        peak = max(peak, usage_of(_pid(remediation)).peak_bytes)
        over = over_budget(cycles, began)
        return {
            "alerts": CONTAINERS * ALERTS_OF_EACH,
            "answers_ms": _spread([*first, *second]),
            "absorbed_s": round(absorbed, 2),
            "actions": len(cycles),
            "budget": rate,
            "over_budget": over,
            "rss_mib": round(peak / 2**20, 1),
            "good": absorbed <= ABSORBED_SECONDS and over == 0 and bool(cycles) and peak <= MOST_BYTES,
        }


def freeze(host: str) -> dict[str, Any]:
    """Everything is to be restarted, without a budget, until somebody says stop."""
    with following(host) as events, Remediation(host, policies(), UNLIMITED) as remediation:
        remediation.wait_ready()
        send_all(remediation, list(storm_bodies(alerts_of_each=1)))
        wait_until(lambda: len(cycles_of(events.all())) > BUDGET, "nothing was restarted")
        said = time.time()
        status, _ = remediation.local.request("POST", "/v1/freeze", b'{"by": "bench", "why": "enough"}')
        time.sleep(_SETTLE_SECONDS)
        begun = [event.at - said for event in events.all() if event.action == "kill"]
        last = max(begun)
        return {
            "containers": CONTAINERS,
            "before": sum(at < 0 for at in begun),
            "after": sum(at >= 0 for at in begun),
            "last_begun_s": round(last, 3),
            "good": status == 200 and last <= FREEZE_SECONDS and len(begun) < CONTAINERS,
        }


def over_budget(cycles: Sequence[float], began: float) -> int:
    """Return by how many actions the budget was exceeded at the worst moment; times in order."""
    allowed = [BUDGET + (at - began) / REFILL_SECONDS for at in cycles]
    return max([0, *(number - int(most) for number, most in enumerate(allowed, 1))])


def policies() -> Mapping[str, Any]:
    """Return one policy that would restart whatever an alert names; nothing needs to have opted in."""
    return {
        "storm": {
            "match": 'alertname=~"Storm[0-9]+"',
            "target": {"kind": "container", "allow": ["demo-*"]},
            "action": "restart",
            "limits": dict(UNHINDERED),
            "verify": "none",
        }
    }


def storm_bodies(alerts_of_each: int = ALERTS_OF_EACH) -> Iterator[bytes]:
    """Yield the requests: every alert of every container, in groups of containers."""
    for kind in range(alerts_of_each):
        for first in range(1, CONTAINERS + 1, GROUP):
            names = [f"demo-web-{number}" for number in range(first, first + GROUP)]
            yield notification(f"{kind}/{first}", [_alert(f"Storm{kind}", name) for name in names], 0)


def send_all(remediation: Remediation, bodies: Sequence[bytes]) -> list[float]:
    """Send requests from several threads, and return how long each took to be answered with 202."""
    post = poster(remediation)

    def timed(body: bytes) -> float:
        began = time.perf_counter()
        status = post(body)
        assert status == 202, f"a request was answered with {status}"
        return time.perf_counter() - began

    with ThreadPoolExecutor(_SENDERS) as pool:
        return list(pool.map(timed, bodies))


def poster(remediation: Remediation) -> Callable[[bytes], int]:
    """Return what posts to the webhook."""
    host, _, port = remediation.url.removeprefix("http://").partition(":")
    return post_to(host, int(port))


def is_absorbed(remediation: Remediation) -> bool:
    """Tell whether every alert has led to a decision."""
    with look(remediation.state_dir) as view:
        return view.inbox_size() == 0


@contextmanager
def fake_engine() -> Iterator[str]:
    """Run a fake Engine with all the containers, and yield its address."""
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-"))) / "docker.sock"
        command = [sys.executable, "-P", "-m", "compose_agent.dockerd.fake"]
        command += [f"--socket={path}", f"--containers={CONTAINERS}"]
        engine = subprocess.Popen(command, stdout=subprocess.PIPE)
        stack.callback(engine.wait)
        stack.callback(engine.terminate)
        assert engine.stdout is not None
        engine.stdout.readline()  # its address, once all containers are there
        yield f"unix://{path}"


@contextmanager
def following(host: str) -> Iterator[EngineEvents]:
    """Follow the events that restarts consist of."""
    events = EngineEvents(host, ("kill", "die", "start"))
    try:
        yield events
    finally:
        events.close()


def _alert(alertname: str, name: str) -> Alert:
    return Alert((("alertname", alertname), ("name", name)), time.time())


def _was_restarted(events: EngineEvents, name: str) -> bool:
    return bool(cycles_of(events.all(name.__eq__)))


def _called(events: EngineEvents, name: str) -> float:
    return min(event.at for event in events.all(name.__eq__) if event.action == "kill")


def _pid(remediation: Remediation) -> int:
    assert remediation.process is not None
    return remediation.process.pid


def _mib(remediation: Remediation) -> float:
    return round(usage_of(_pid(remediation)).peak_bytes / 2**20, 1)


def _is_small(remediation: Remediation) -> bool:
    return usage_of(_pid(remediation)).peak_bytes <= MOST_BYTES


def _spread(seconds: Sequence[float]) -> Mapping[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    found = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(seconds)}
    return {name: round(value * 1000, 1) for name, value in found.items()}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="idle, storm, replicas, freeze; all when none is named")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
