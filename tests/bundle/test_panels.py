"""The dashboards on the bundle itself: on a fresh host every panel has data or says why it has none."""

from __future__ import annotations

import pytest

from lab.bundle import Bundle
from tests.dashboards.asking import asked, empty_after, reasons

pytestmark = pytest.mark.engine

# At the bundle's interval Grafana puts in four times that, and some rates need two scrapes of something new.
RATE_INTERVAL = "1m"
PATIENCE_SECONDS = 240.0
# Elsewhere these may be empty, because a part is not there; in the bundle it is.
FILLED_HERE = {
    "Agent/agent.json: CPU of the bundle's containers",
    "Agent/agent.json: Samples",
    "Agent/agent.json: Spans made and delivered",
    "Agent/logs.json: Lines read and confirmed",
    "Agent/remediation.json: Questions to the Engine through the broker",
    "Containers/project.json: CPU of what they may use",
    "Host/host.json: Docker's disk, left",
}


def test_every_panel_has_data_or_says_why_it_has_none(demo: Bundle) -> None:
    may_be_empty = {name for name, why in reasons().items() if why} - FILLED_HERE
    empty = empty_after(demo.prometheus, PATIENCE_SECONDS, may_be_empty, RATE_INTERVAL)
    for name in sorted(empty):
        print(f"empty: {name}: {reasons()[name]}")  # noqa: T201 - shown with -rP, and when it fails
    print(f"{len(asked()) - len(empty)} of {len(asked())} panels have data")  # noqa: T201

    assert empty <= may_be_empty
