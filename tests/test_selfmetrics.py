"""What every role's metrics of itself have in common."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import pytest
from prometheus_client import Counter, Metric
from prometheus_client.core import GaugeMetricFamily

from compose_agent import __version__
from compose_agent.role import ConfigState
from compose_agent.selfmetrics import add_program, exposition, gauge, new_registry, rows
from tests.exporter.parsed import series, values


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_role_tells_its_version_its_configuration_and_its_process(openmetrics: bool) -> None:
    registry, state = new_registry(), ConfigState(revision=1, successful=True, last_success=5.0)
    add_program(registry, "some_role", "role", state)
    state.revision, state.successful = 7, False
    text = exposition(registry, openmetrics=openmetrics).decode()
    versions = (__version__, platform.python_version())
    assert values(text, "some_role_build_info", "version", "python") == {versions: 1.0}
    assert values(text, "some_role_config_revision") == {(): 7.0}
    assert values(text, "some_role_config_last_reload_successful") == {(): 0.0}
    assert values(text, "some_role_config_last_reload_success_timestamp_seconds") == {(): 5.0}
    assert values(text, "process_start_time_seconds")[()] > 0


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_gauge_is_asked_at_each_scrape_and_nothing_has_a_time_of_creation(openmetrics: bool) -> None:
    registry, found = new_registry(), [1]
    gauge(registry, "things", "Things.", lambda: found[-1])
    Counter("events", "Events.", registry=registry)
    for value in (2, 3):
        found.append(value)
        text = exposition(registry, openmetrics=openmetrics).decode()
        assert series(text) == {("things", ()): value, ("events_total", ()): 0}
        assert text.endswith("# EOF\n") is openmetrics


def test_roles_of_one_process_share_no_series() -> None:
    one, two = new_registry(), new_registry()
    gauge(one, "things", "Things.", lambda: 1)
    assert exposition(two, openmetrics=False) == b""


class Unseen:
    """A family with labels and without series."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("unseen", "Not there.", labels=("sink", "reason"))


def test_a_row_has_name_type_labels_and_meaning() -> None:
    registry = new_registry()
    registry.register(Unseen())
    Counter("events", "Events.", ["sink"], registry=registry).labels("a").inc()
    add_program(registry, "some_role", "role", ConfigState())
    assert list(rows(registry))[:3] == [
        ("`unseen`", "gauge", "sink, reason", "Not there."),
        ("`events_total`", "counter", "sink", "Events."),
        ("`some_role_build_info`", "info", "version, python", "Version of this role."),
    ]
