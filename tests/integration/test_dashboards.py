"""Every panel of every dashboard, asked of a real Prometheus that watches a real Engine."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import docker
import pytest

from lab.engine import PrivateEngine
from tests.dashboards.asking import FLEET, asked, empty_after, filled_in, reasons, without_values
from tests.dashboards.catalogue import FOREIGN, everything
from tests.dashboards.files import DASHBOARDS
from tests.dashboards.promql import parse, uses
from tests.integration.metrics import eventually
from tests.integration.observed import Observed, discharge, patient

pytestmark = pytest.mark.engine

# From a fresh start until the last panel has something: restarts take their pauses, rates some scrapes.
PATIENCE_SECONDS = 180.0
# Becomes unhealthy, and is well after a restart: so there is something to be done.
MENDABLE = """[ -e /seen ] && touch /well; touch /seen
while :; do echo working for anna@example.org; echo GET /healthz; sleep 1; done"""
LABELS = {
    "compose-agent.remediate": "restart",
    "compose-agent.logs.exclude-lines": "GET /healthz",
    "compose-agent.logs.redact": "email",
}
# Nobody listens there, so that deliveries fail.
AWAY = "elasticsearch://127.0.0.1:9/logs-void-default?required=false"
HEALTHCHECK = {"test": ["CMD", "test", "-e", "/well"], "interval": 10**9, "timeout": 10**10, "retries": 2}

# What has nothing to show here, and why. Everything else has something, or the check fails.
NO_BLOCK_IO = "this kernel counts it only once a throttle rule is set"
EMPTY_HERE = {
    "Agent/agent.json: Disk in a day": "Prometheus finishes its first block after two hours",
    "Agent/agent.json: Spans dropped": "none was",
    "Agent/logs.json: Left out against all wishes": "nothing was",
    "Agent/remediation.json: Breakers that have seen a failure": "no action has failed",
    "Containers/container.json: Disk operations": NO_BLOCK_IO,
    "Containers/container.json: Disk traffic": NO_BLOCK_IO,
    "Containers/containers.json: Read from disks": NO_BLOCK_IO,
    "Containers/containers.json: Written to disks": NO_BLOCK_IO,
    "Containers/project.json: Written to disks by service": NO_BLOCK_IO,
    "Host/engine.json: Requests that failed": "none has",
}


@pytest.fixture(scope="module")
def observed(
    engine: PrivateEngine,
    project: docker.DockerClient,
    busybox: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Observed]:
    with Observed(engine, tmp_path_factory.mktemp("observed"), sinks=[AWAY]) as started:
        patient(
            project,
            busybox,
            "mendable",
            MENDABLE,
            healthcheck=HEALTHCHECK,
            labels=LABELS,
        )
        ask_for_what_is_not_on_the_list(started)
        yield started
        discharge(project)


def ask_for_what_is_not_on_the_list(observed: Observed) -> None:
    assert observed.broker is not None
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(str(observed.broker.run_dir / "read.sock"))
        connection.sendall(b"GET /secrets HTTP/1.0\r\n\r\n")
        assert b" 403 " in connection.recv(64)


def test_every_panel_has_data_or_a_reason_for_having_none(observed: Observed) -> None:
    empty = empty_after(observed.prometheus, PATIENCE_SECONDS, EMPTY_HERE)
    for name in sorted(empty):
        print(f"empty: {name}: {reasons()[name]}")  # noqa: T201 - shown with -rP, and when it fails
    print(f"{len(asked()) - len(empty)} of {len(asked())} panels have data")  # noqa: T201

    assert empty <= EMPTY_HERE.keys()
    assert all(reasons()[name] for name in empty), "the panel itself says why"


@pytest.mark.parametrize("path", sorted(DASHBOARDS.keys() - {FLEET}))
def test_every_variable_has_values(observed: Observed, path: str) -> None:
    def check() -> None:
        assert without_values(observed.prometheus, path) == []

    eventually(check)


@pytest.mark.parametrize("path", DASHBOARDS)
def test_every_annotation_can_be_asked_for(observed: Observed, path: str) -> None:
    for mark in DASHBOARDS[path]["annotations"]["list"]:
        if "expr" in mark:
            expression = filled_in(mark["expr"], DASHBOARDS[path])
            if mark["name"] == "Killed for memory":
                found = observed.prometheus.query(expression)
            else:
                found = observed.prometheus.wait_for(expression)  # a scrape that fails leaves a gap
            if mark.get("useValueForTime") == "on":
                assert all(abs(sample.value / 1000 - time.time()) < 24 * 3600 for sample in found)


def test_the_types_are_those_that_prometheus_was_told(observed: Observed) -> None:
    told = observed.prometheus.api("metadata")
    named = {use.metric for exprs in asked().values() for expr in exprs for use in uses(parse(expr))}
    known = everything()
    for name in sorted(named & known.keys()):
        # OpenMetrics names a counter's family without its suffix.
        for family in (name, name.removesuffix("_total"), name.removesuffix("_info")):
            for each in told.get(family, []):
                assert each["type"] in {known[name].type, "info", "unknown"}, name
    assert {name for name in FOREIGN if not name.startswith(("up", "scrape_"))} <= told.keys()
