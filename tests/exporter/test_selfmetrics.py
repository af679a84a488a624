"""The exporter's metrics of itself."""

import pytest

from compose_agent.role import ConfigState
from exporter.collectors import registered
from exporter.measure import FAMILIES
from exporter.selfmetrics import SelfMetrics
from tests.exporter.parsed import names, series, values


def whole(metrics: SelfMetrics, *, openmetrics: bool) -> str:
    return metrics.text(openmetrics=openmetrics) + ("# EOF\n" if openmetrics else "")


@pytest.mark.parametrize("openmetrics", [False, True])
def test_calls_to_the_engine_are_measured_and_failures_counted(openmetrics: bool) -> None:
    metrics = SelfMetrics(ConfigState())
    metrics.observe_engine("ping", 0.002, "ok")
    metrics.observe_engine("ping", 3.0, "timeout")
    text = whole(metrics, openmetrics=openmetrics)
    assert values(text, "docker_engine_request_duration_seconds_count", "call") == {("ping",): 2.0}
    assert values(text, "docker_engine_request_duration_seconds_sum", "call") == {("ping",): 3.002}
    assert values(text, "docker_engine_request_errors_total", "call", "reason") == {("ping", "timeout"): 1.0}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_state_of_the_configuration_is_as_it_is_now(openmetrics: bool) -> None:
    state = ConfigState(revision=1, successful=True, last_success=5.0)
    metrics = SelfMetrics(state)
    state.revision, state.successful = 7, False
    metrics.web_reload.set(0)
    text = whole(metrics, openmetrics=openmetrics)
    assert values(text, "docker_exporter_config_revision") == {(): 7.0}
    assert values(text, "docker_exporter_config_last_reload_successful") == {(): 0.0}
    assert values(text, "docker_exporter_config_last_reload_success_timestamp_seconds") == {(): 5.0}
    assert values(text, "docker_exporter_web_config_last_reload_successful") == {(): 0.0}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_nothing_here_is_called_as_something_of_a_scrape(openmetrics: bool) -> None:
    metrics = SelfMetrics(ConfigState())
    metrics.observe_engine("ping", 1.0, "refused")
    text = whole(metrics, openmetrics=openmetrics)
    assert series(text)
    of_scrapes = {f.name for each in registered() for f in each.families} | {f.name for f in FAMILIES}
    assert not of_scrapes & set(names(text))
    assert not [name for name, _ in series(text) if name.endswith("_created")]


def test_the_end_mark_is_left_to_the_whole_answer() -> None:
    assert "# EOF" not in SelfMetrics(ConfigState()).text(openmetrics=True)


def test_each_exporter_has_a_registry_of_its_own() -> None:
    one, two = SelfMetrics(ConfigState()), SelfMetrics(ConfigState())
    one.observe_engine("ping", 1.0, "ok")
    assert "docker_engine_request_duration_seconds_count" not in two.text(openmetrics=False)
