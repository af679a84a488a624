"""The core on the oldest line of the Engine, with the overlay that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.bundle import OFFLINE, Bundle
from lab.engine import PrivateEngine
from tests.integration.metrics import eventually

pytestmark = pytest.mark.engine

# Health is first known after an interval of half a minute, and four services wait for one another.
HEALTHY_SECONDS = 240
SCRAPED_SECONDS = 60
CORE = ("broker", "exporter", "logs", "remediation", "alertmanager", "prometheus")


def test_everything_becomes_healthy_and_is_scraped(tmp_path: Path) -> None:
    # What an overlay takes away, a later one must not name again.
    files = (OFFLINE[0], "compose/engine-20.yml", *OFFLINE[1:])
    with (
        PrivateEngine("20.10", share_network=True) as engine,
        Bundle(engine, tmp_path, files=files) as bundle,
    ):
        took = bundle.up(*CORE)
        print(f"all healthy after {took:.1f} s")  # noqa: T201 - shown with -rP
        assert took < HEALTHY_SECONDS

        def check() -> None:
            up = {sample.labels["job"]: sample.value for sample in bundle.prometheus.query("up")}
            assert up == dict.fromkeys(CORE, 1.0)

        eventually(check, seconds=SCRAPED_SECONDS)
