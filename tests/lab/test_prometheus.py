from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import LabError
from lab.prometheus import Prometheus, Sample, promtool

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    with Prometheus({"rule_files": [], "scrape_configs": []}) as started:
        yield started


@pytest.mark.parametrize(
    ("expression", "samples"),
    [
        ("1 + 1", [Sample({}, 2.0)]),
        ("vector(1) / 0", [Sample({}, float("inf"))]),
        ('label_replace(vector(3), "a", "b", "", "")', [Sample({"a": "b"}, 3.0)]),
        ("up", []),
    ],
)
def test_a_query_is_answered(prometheus: Prometheus, expression: str, samples: list[Sample]) -> None:
    assert prometheus.query(expression) == samples


def test_a_wrong_query_is_an_error_with_prometheus_own_words(prometheus: Prometheus) -> None:
    with pytest.raises(LabError, match="parse error"):
        prometheus.query("up{")


def test_waiting_for_what_never_comes_ends(prometheus: Prometheus) -> None:
    with pytest.raises(LabError, match=r"no series within 0\.2 s for up"):
        prometheus.wait_for("up", timeout=0.2)


def test_it_scrapes_what_it_is_told_to() -> None:
    job = {"job_name": "nobody", "scrape_interval": "1s", "static_configs": [{"targets": ["127.0.0.1:1"]}]}
    with Prometheus({"scrape_configs": [job]}) as prometheus:
        assert prometheus.wait_for("up") == [
            Sample({"__name__": "up", "instance": "127.0.0.1:1", "job": "nobody"}, 0.0)
        ]


def test_a_wrong_configuration_is_reported() -> None:
    with pytest.raises(LabError, match="field wrong not found"), Prometheus({"wrong": 1}):
        pass


@pytest.mark.parametrize(
    ("metrics", "status"),
    [("# HELP a_total A.\n# TYPE a_total counter\na_total 1\n", 0), ("no_help 1\n", 3), ("a{ 1\n", 1)],
)
def test_promtool_judges_metrics(metrics: str, status: int) -> None:
    assert promtool("check", "metrics", stdin=metrics).returncode == status
