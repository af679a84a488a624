"""docs/metrics.md against what is registered and what is promised."""

from pathlib import Path

import pytest

from exporter.collectors import built_in
from exporter.document import metrics_page

PAGE = Path(__file__).parents[2] / "docs/metrics.md"

# The names that dashboards, rules and users may count on.
PROMISED = [
    "docker_up",
    "docker_engine_info",
    "docker_engine_request_duration_seconds",
    "docker_containers",
    "docker_container_info",
    "docker_container_state",
    "docker_container_health",
    "docker_container_exit_code",
    "docker_container_restarts_total",
    "docker_container_oom_kills_total",
    "docker_container_started_timestamp_seconds",
    "docker_container_cpu_usage_seconds_total",
    "docker_container_cpu_periods_total",
    "docker_container_cpu_throttled_periods_total",
    "docker_container_cpu_throttled_seconds_total",
    "docker_container_cpu_limit_cores",
    "docker_container_memory_usage_bytes",
    "docker_container_memory_working_set_bytes",
    "docker_container_memory_limit_bytes",
    "docker_container_network_receive_bytes_total",
    "docker_container_network_transmit_bytes_total",
    "docker_container_fs_read_bytes_total",
    "docker_container_fs_write_bytes_total",
    "docker_container_pids",
    "docker_container_pids_limit",
    "docker_compose_service_containers",
    "docker_host_cpu_seconds_total",
    "docker_host_memory_total_bytes",
    "docker_host_memory_available_bytes",
    "docker_host_load1",
    "docker_host_filesystem_size_bytes",
    "docker_host_filesystem_available_bytes",
    "docker_exporter_build_info",
    "docker_exporter_collector_duration_seconds",
    "docker_exporter_collector_success",
    "docker_exporter_scrape_duration_seconds",
]
LABELS = {
    "docker_containers": "state",
    "docker_container_state": "state",
    "docker_container_health": "status",
    "docker_container_network_receive_bytes_total": "interface",
    "docker_container_fs_read_bytes_total": "device",
    "docker_compose_service_containers": "compose_project, compose_service, state",
    "docker_host_cpu_seconds_total": "mode",
    "docker_engine_request_duration_seconds": "call",
}


def rows() -> dict[str, list[str]]:
    """Return the cells of each row by the metric's name."""
    lines = [
        line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")
    ]
    return {cells[0].strip("`*"): cells for cells in lines}


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == metrics_page(), "run: python -m tests.golden.regenerate"


@pytest.mark.parametrize("name", PROMISED)
def test_a_promised_name_exists(name: str) -> None:
    assert name in rows()


@pytest.mark.parametrize(("name", "labels"), LABELS.items())
def test_a_promised_label_exists(name: str, labels: str) -> None:
    assert rows()[name][2] == labels


def test_every_family_has_a_row_and_every_collector_a_section_with_its_default() -> None:
    page = PAGE.read_text()
    for each in built_in():
        assert f"## `{each.name}`\n" in page
        assert ("on" if each.default else "off") in page.split(f"## `{each.name}`\n")[1].split("by default")[
            0
        ]
        for family in each.families:
            assert rows()[family.name][1:] == [family.type, rows()[family.name][2], family.help]
