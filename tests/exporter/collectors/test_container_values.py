"""Values of containers in the order of their families."""

from typing import Any

import pytest

from compose_agent.dockerd.model import HEALTHS, STATES
from compose_agent.dockerd.usage import DeviceIO, InterfaceIO
from exporter.collectors import (
    container_cpu,
    container_fs,
    container_lifecycle,
    container_limits,
    container_memory,
    container_network,
    container_pids,
    container_state,
)
from exporter.families import InventoryCollector, UsageCollector
from tests.exporter.build import NOTHING, SAMPLE, box, settings


def named(collector: InventoryCollector | UsageCollector, what: Any) -> dict[str, Any]:
    """Return the values by what comes behind docker_container_, without those that are unknown."""
    values = collector.make(settings())(what)
    names = [family.name.removeprefix("docker_container_") for family in collector.families]
    return {name: value for name, value in zip(names, values, strict=True) if value not in (None, {})}


@pytest.mark.parametrize("state", STATES)
def test_of_seven_states_one_is_1(state: str) -> None:
    found = named(container_state.COLLECTOR, box(state=state))["state"]
    assert found == {each: int(each == state) for each in STATES}


@pytest.mark.parametrize("health", HEALTHS)
def test_of_four_healths_one_is_1(health: str) -> None:
    found = named(container_state.COLLECTOR, box(health=health))["health"]
    assert found == {each: int(each == health) for each in HEALTHS}


@pytest.mark.parametrize(("code", "expected"), [(None, {}), (0, {"exit_code": 0}), (137, {"exit_code": 137})])
def test_the_exit_code_is_there_when_it_is_known(code: int | None, expected: dict[str, int]) -> None:
    found = named(container_state.COLLECTOR, box(exit_code=code))
    assert {key: found[key] for key in found if key == "exit_code"} == expected


def test_lifecycle_has_counters_and_times() -> None:
    container = box(restart_count=3, oom_kills=1, created_at=1.5, started_at=2.5, finished_at=0.5)
    assert named(container_lifecycle.COLLECTOR, container) == {
        "restarts_total": 3,
        "oom_kills_total": 1,
        "created_timestamp_seconds": 1.5,
        "started_timestamp_seconds": 2.5,
        "finished_timestamp_seconds": 0.5,
    }
    assert named(container_lifecycle.COLLECTOR, box()) == {"restarts_total": 0, "oom_kills_total": 0}


def test_a_limit_that_is_not_set_is_absent() -> None:
    assert named(container_limits.COLLECTOR, box()) == {}
    limited = box(cpu_limit_cores=0.5, memory_limit_bytes=64, pids_limit=10)
    assert named(container_limits.COLLECTOR, limited) == {
        "cpu_limit_cores": 0.5,
        "memory_limit_bytes": 64,
        "pids_limit": 10,
    }


def test_usage_stands_under_its_names() -> None:
    sample = SAMPLE._replace(
        networks={"eth0": InterfaceIO(1, 2, 3, 4, 5, 6, 7, 8)},
        devices={"sda": DeviceIO(1, 2, 3, 4), "sdb": DeviceIO(5, 6, None, None)},
    )
    assert named(container_cpu.COLLECTOR, sample) == {
        "cpu_usage_seconds_total": 1.5,
        "cpu_user_seconds_total": 1.0,
        "cpu_system_seconds_total": 0.5,
        "cpu_periods_total": 10,
        "cpu_throttled_periods_total": 2,
        "cpu_throttled_seconds_total": 0.25,
    }
    assert named(container_memory.COLLECTOR, sample) == {
        "memory_usage_bytes": 4096,
        "memory_working_set_bytes": 3072,
        "memory_rss_bytes": 2048,
        "memory_cache_bytes": 1024,
        "memory_swap_bytes": 0,
    }
    assert named(container_network.COLLECTOR, sample) == {
        f"network_{way}_{what}_total": {"eth0": n}
        for n, (way, what) in enumerate(
            ((w, x) for w in ("receive", "transmit") for x in ("bytes", "packets", "errors", "dropped")), 1
        )
    }
    assert named(container_fs.COLLECTOR, sample) == {
        "fs_read_bytes_total": {"sda": 1, "sdb": 5},
        "fs_write_bytes_total": {"sda": 2, "sdb": 6},
        "fs_reads_total": {"sda": 3},
        "fs_writes_total": {"sda": 4},
    }
    assert named(container_pids.COLLECTOR, sample) == {"pids": 3}


def test_unknown_usage_is_absent() -> None:
    assert named(container_cpu.COLLECTOR, NOTHING) == {"cpu_usage_seconds_total": 0.5}
    for module in (container_memory, container_network, container_fs, container_pids):
        assert named(module.COLLECTOR, NOTHING) == {}
