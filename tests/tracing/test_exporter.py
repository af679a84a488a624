"""The thread that exports, with a collector that asks to be left alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from compose_agent.tracing import exporter as module
from compose_agent.tracing.exporter import Exporter
from compose_agent.tracing.post import Later
from compose_agent.tracing.records import Span
from compose_agent.tracing.settings import Collector
from compose_agent.tracing.spool import Spool

PATIENCE_SECONDS = 20.0


class Away:
    """A collector that wants to be asked much later."""

    asked = 0

    def post(self, body: bytes, timeout: float) -> Later:
        """Ask for patience."""
        self.asked += 1
        return Later("busy", 300.0)

    def close(self) -> None:
        """Do nothing."""


class Counting(Spool):
    """A spool that counts how often it was brought to the disk."""

    synced = 0

    def sync(self) -> None:
        """Count it, and do it."""
        self.synced += 1
        super().sync()


def test_spans_reach_the_disk_while_the_collector_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SYNC_SECONDS", 0.05)
    spool, away = Counting(tmp_path / "s", {}, exporting=True), Away()
    spool.append([Span(trace=bytes(15) + b"1", span=bytes(7) + b"1", name="one", start=1, end=2)])
    exporter = Exporter(
        spool,
        Collector("http://127.0.0.1:1", delay=0.01),
        lambda _collector: away,
        lambda _resource, _spans: b"",
        lambda _body: (0, ""),
    )
    exporter.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (away.asked and spool.synced >= 3):
        assert time.monotonic() < deadline, (away.asked, spool.synced)
        time.sleep(0.01)
    exporter.stop(1.0)
    spool.close()
    assert away.asked == 1
