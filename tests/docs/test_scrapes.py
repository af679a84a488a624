"""Prometheus takes every scrape configuration of the pages, but for files that only their readers have."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.prometheus import promtool
from tests.docs.examples import ROOT, examples

# docs/web-configuration.md has files too, and a test of its own.
PAGES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))
SCRAPES = [
    (page, text) for page in PAGES for text in examples(page, "yaml") if text.startswith("scrape_configs:")
]
OVERLAYS = [("compose/prometheus/fleet.yml", (ROOT / "compose/prometheus/fleet.yml").read_text())]


def test_there_are_some() -> None:
    assert {"docs/fleet.md", "docs/web-configuration.md"} <= {page for page, _ in SCRAPES}


@pytest.mark.engine
@pytest.mark.parametrize(("page", "text"), [*SCRAPES, *OVERLAYS])
def test_prometheus_takes_the_scrapes_of_a_page(tmp_path: Path, page: str, text: str) -> None:
    (tmp_path / "prometheus.yml").write_text(text)
    answer = promtool("check", "config", "--syntax-only", str(tmp_path / "prometheus.yml"), suite="forky")
    assert answer.returncode == 0, (page, answer.stderr)
