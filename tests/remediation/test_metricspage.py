from __future__ import annotations

from pathlib import Path

from remediation.metricspage import metric_rows, metrics_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "remediation-metrics.md"


def test_the_page_is_what_the_role_registers() -> None:
    assert PAGE.read_text(encoding="utf-8") == metrics_page(), "run scripts/regenerate"


def test_it_has_the_families_that_are_made_at_each_scrape_with_their_labels() -> None:
    rows = {name: (kind, labels) for name, kind, labels, _ in metric_rows()}
    assert rows["`remediation_actions_total`"] == ("counter", "action, result")
    assert rows["`remediation_breaker_state`"] == ("gauge", "policy, target, state")
    assert rows["`remediation_receipt_to_action_seconds`"][0] == "histogram"
