"""What the bundle is for: something breaks, an alert fires, the agent mends it, and everybody is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from lab import LabError
from lab.bundle import ROOT, Bundle

pytestmark = pytest.mark.engine

# Two scrapes, two evaluations, and the minute after a deployment in which nothing is done to its project.
PATIENCE_SECONDS = 240.0
POLL_SECONDS = 0.5
SCRAPE_SECONDS = 15.0
# A first scrape of what is new, with one that failed before.
SCRAPED_SECONDS = 60.0
# A scrape itself, this test's own look, and a busy machine.
SLACK_SECONDS = 5.0


# Prints the body of every entry.
AUDIT = """
import sqlite3
database = sqlite3.connect("file:/var/lib/compose-agent/remediation.db?mode=ro", uri=True)
print(*(body for body, in database.execute("SELECT body FROM audit")))
"""


def wait(what: str, done: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> float:
    """Return the time at which it was done; LabError when it is not."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds:g} s")
        time.sleep(POLL_SECONDS)
    return time.time()


def break_it(bundle: Bundle, fault: str) -> float:
    bundle.run(ROOT / "scripts" / "demo", fault)
    return time.time()


def health(bundle: Bundle, service: str) -> str:
    (container,) = bundle.containers(service)
    state: str = container.attrs["State"]["Health"]["Status"]
    return state


def firing(bundle: Bundle, alert: str, **labels: str) -> bool:
    chosen = ",".join(f'{name}="{text}"' for name, text in {"alertname": alert, **labels}.items())
    return bool(bundle.prometheus.query(f'ALERTS{{alertstate="firing",{chosen}}}'))


def replicas(bundle: Bundle, service: str) -> int:
    return sum(container.status == "running" for container in bundle.containers(service))


def lines_of(bundle: Bundle, service: str) -> list[str]:
    """Return what the log forwarder has shipped of a service."""
    shipped = bundle.run(
        "docker", "compose", "exec", "-T", "logs", "cat", "/var/lib/log-forwarder/containers.ndjson"
    )
    found = [json.loads(line) for line in shipped.splitlines()]
    return [line["log"] for line in found if line.get("compose_service") == service]


def test_a_broken_service_is_restarted_and_its_alert_resolves(demo: Bundle) -> None:
    # In the minute after a deployment nothing is done, and so there is time for a scrape.  Later the agent's
    # own watch restarts it within a second, mostly before Prometheus sees anything.
    demo.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", "demo-web")
    name = demo.containers("demo-web")[0].name
    assert name is not None
    started = demo.containers("demo-web")[0].attrs["State"]["StartedAt"]
    began = break_it(demo, "break")
    times = {
        "unhealthy": wait("unhealthy", lambda: health(demo, "demo-web") == "unhealthy"),
        "fires": wait("the alert fires", lambda: firing(demo, "ContainerUnhealthy", name=name)),
        "told": wait("the webhook is told", lambda: "(alertmanager)" in demo.say("why", name).output),
        "restarted": wait(
            "restarted",
            lambda: demo.containers("demo-web")[0].attrs["State"]["StartedAt"] != started,
        ),
        "healthy": wait("healthy", lambda: health(demo, "demo-web") == "healthy"),
        "resolved": wait("resolved", lambda: not firing(demo, "ContainerUnhealthy", name=name)),
        "verified": wait("verified", lambda: last_action(demo, name)["state"] == "done"),
    }
    print("; ".join(f"{what} +{at - began:.0f} s" for what, at in times.items()))  # noqa: T201 - with -rP
    wait("Alertmanager forgets", lambda: name not in {a["labels"].get("name") for a in demo.alerts()})
    assert [action["action"] for action in actions(demo, name)] == ["restart"], "once"
    assert any("the page is gone" in line for line in lines_of(demo, "demo-web"))
    assert demo.say("audit", "verify").status == 0
    # The id of an action is that of its trace.
    assert f'"trace_id":"{last_action(demo, name)["id"]}"' in audit(demo)


def audit(bundle: Bundle) -> str:
    """Return the entries of the audit as they stand in the journal, without spaces."""
    command = ["docker", "compose", "exec", "-T", "remediation", "python3", "-c", AUDIT]
    return bundle.run(*command).replace(" ", "")


def actions(bundle: Bundle, target: str) -> list[dict[str, Any]]:
    said = bundle.say("actions", "--json", f"--target={target}")
    assert said.status == 0, said.errors
    found: list[dict[str, Any]] = json.loads(said.output)
    return found


def last_action(bundle: Bundle, target: str) -> dict[str, Any]:
    return next(iter(actions(bundle, target)), {"state": "none"})


def test_a_burning_service_gets_a_replica_and_loses_it_again(demo: Bundle) -> None:
    assert replicas(demo, "demo-worker") == 1
    began = break_it(demo, "burn")
    try:
        up = wait("scaled up", lambda: replicas(demo, "demo-worker") > 1)
        measured = wait("seen by Prometheus", lambda: seen_replicas(demo) > 1, SCRAPED_SECONDS)
    finally:
        calmed = break_it(demo, "calm")
    down = wait("scaled down", lambda: replicas(demo, "demo-worker") == 1)
    print(  # noqa: T201 - shown with -rP
        f"up +{up - began:.0f} s, in Prometheus +{measured - began:.0f} s; calm, down +{down - calmed:.0f} s"
    )
    done = [each for each in actions(demo, f"{demo.name}/demo-worker") if each["state"] != "suppressed"]
    assert {each["action"] for each in done} == {"scale"}
    assert {each["state"] for each in done} <= {"done", "verifying"}


def seen_replicas(bundle: Bundle) -> float:
    query = 'docker_compose_service_containers{compose_service="demo-worker",state="running"}'
    return sum(sample.value for sample in bundle.prometheus.query(query))


def test_faults_that_no_restart_mends_raise_their_alert_and_no_other(demo: Bundle) -> None:
    expected = {"demo-cache": {"ContainerOOM"}, "demo-job": {"ContainerRestartLoop"}}
    for fault in ("oom", "crash"):
        break_it(demo, fault)
    try:
        wait("all fire", lambda: all(expected[name] <= fired(demo, name) for name in expected))
    finally:
        break_it(demo, "mend")
    assert {name: fired(demo, name) for name in expected} == expected


def fired(bundle: Bundle, service: str) -> set[str]:
    """Return the alerts that have fired about a service's containers since the bundle was started."""
    query = f'max_over_time(ALERTS{{alertstate="firing",compose_service="{service}"}}[1h])'
    return {sample.labels["alertname"] for sample in bundle.prometheus.query(query)}


def test_a_stop_by_hand_shows_within_a_scrape_and_is_left_alone(demo: Bundle) -> None:
    (container,) = demo.containers("demo-job")
    began = break_it(demo, "stop")
    state = f'docker_container_state{{name="{container.name}",state="exited"}} == 1'
    shown = wait("shown", lambda: demo.prometheus.query(state), SCRAPED_SECONDS)
    print(f"exited in Prometheus +{shown - began:.1f} s")  # noqa: T201 - shown with -rP
    assert shown - began < SCRAPE_SECONDS + SLACK_SECONDS
    assert actions(demo, str(container.name)) == []
    demo.run(ROOT / "scripts" / "demo", "mend")
    assert health(demo, "demo-job") in ("starting", "healthy")
