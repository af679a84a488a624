"""Every panel of every dashboard, asked of the bundle's own Prometheus while the demo runs."""

from __future__ import annotations

import pytest

from lab.bundle import ROOT, Bundle
from tests.dashboards.asking import asked, empty_after, reasons

pytestmark = pytest.mark.engine

# What Grafana makes of the interval of scrapes: four of them.
RATE_INTERVAL = "1m"
# Two such windows, and what the demo's faults take to be seen and mended.
PATIENCE_SECONDS = 300.0
# What has nothing to show on a fresh host: nothing of the kind has happened, or the kernel does not count it.
EMPTY_HERE = {
    "Agent/agent.json: Disk in a day",
    "Agent/agent.json: Spans dropped",
    "Agent/logs.json: Deliveries that failed",
    "Agent/logs.json: Left out against all wishes",
    "Agent/logs.json: Left out as configured",
    "Agent/logs.json: Made unreadable, and not understood",
    "Agent/remediation.json: Breakers that have seen a failure",
    "Agent/remediation.json: Refused by the broker",
    "Containers/container.json: Disk operations",
    "Containers/container.json: Disk traffic",
    "Containers/containers.json: Read from disks",
    "Containers/containers.json: Written to disks",
    "Containers/project.json: Written to disks by service",
    "Host/engine.json: Requests that failed",
}


def test_every_panel_has_data_or_says_why_not(demo: Bundle) -> None:
    for fault in ("break", "crash"):
        demo.run(ROOT / "scripts" / "demo", fault)
    empty = empty_after(demo.prometheus, PATIENCE_SECONDS, EMPTY_HERE, RATE_INTERVAL)
    demo.run(ROOT / "scripts" / "demo", "mend")
    for name in sorted(empty):
        print(f"empty: {name}: {reasons()[name]}")  # noqa: T201 - shown with -rP, and when it fails
    panels = asked(RATE_INTERVAL)
    print(f"{len(panels) - len(empty)} of {len(panels)} panels have data")  # noqa: T201

    assert empty <= EMPTY_HERE
    assert all(reasons()[name] for name in empty), "the panel itself says why"
