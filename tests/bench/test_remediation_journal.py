from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from bench.remediation_journal import measure


def test_all_that_is_acknowledged_is_counted_and_there(tmp_path: Path) -> None:
    found = measure(tmp_path, Namespace(rate=200.0, group=10, seconds=0.5, threads=2))
    assert (found["audit_broken"], found["missing"]) == (0, 0)
    assert found["steady"]["alerts"] == 100
    assert 0 < found["steady"]["acknowledged_ms"]["p50"] <= found["steady"]["acknowledged_ms"]["max"]
    assert found["full"]["alerts"] > 0
