"""The stats API's answers in the shapes of both Engine lines, and the files of the same moment."""

import json
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.usage.locate import open_files
from compose_agent.dockerd.usage.sample import DeviceIO, InterfaceIO
from compose_agent.dockerd.usage.stats import sample_from_stats
from tests.dockerd.usage.trees import ID, container, host, rounded

ANSWERS = Path(__file__).parent / "answers"
NAMES = {"254:0": "vda"}


def answer_of(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((ANSWERS / f"{name}.json").read_text())
    return answer


@pytest.mark.parametrize(
    ("name", "version", "unknown"),
    [
        ("stats-20.10-v1", 1, {"swap_bytes": None}),
        ("stats-28-v1", 1, {"swap_bytes": None}),
        ("stats-28-v2", 2, {"swap_bytes": None, "devices": {"vda": DeviceIO(8192, 4096, None, None)}}),
    ],
)
def test_the_api_gives_the_sample_of_the_files_but_for_what_it_does_not_know(
    tmp_path: Path, name: str, version: int, unknown: dict[str, Any]
) -> None:
    made = host(tmp_path, version)
    made.run(f"/docker/{ID}")
    files = open_files(container(), made.mounts, NAMES)
    assert files is not None
    from_files = files.read()
    files.close()
    sample = sample_from_stats(answer_of(name), own_network=True, devices=NAMES)
    assert rounded(sample) == rounded(from_files._replace(**unknown))


@pytest.mark.parametrize("name", ["stopped-20.10", "stopped-28"])
def test_a_stopped_container_has_no_sample(name: str) -> None:
    assert sample_from_stats(answer_of(name), own_network=True, devices={}) is None


def changed(**parts: Any) -> dict[str, Any]:
    return {**answer_of("stats-28-v2"), **parts}


def test_a_network_that_is_not_its_own_is_unknown() -> None:
    sample = sample_from_stats(answer_of("stats-28-v2"), own_network=False, devices={})
    assert sample is not None
    assert sample.networks is None


def test_without_networks_in_the_answer_they_are_unknown() -> None:
    sample = sample_from_stats(changed(networks=None), own_network=True, devices={})
    assert sample is not None
    assert sample.networks is None


def test_counters_that_an_interface_does_not_have_are_zero() -> None:
    sample = sample_from_stats(changed(networks={"eth0": {"rx_bytes": 5}}), own_network=True, devices={})
    assert sample is not None
    assert sample.networks == {"eth0": InterfaceIO(5, 0, 0, 0, 0, 0, 0, 0)}


def test_without_the_memory_controller_there_is_still_cpu_time() -> None:
    sample = sample_from_stats(changed(memory_stats={}), own_network=True, devices={})
    assert sample is not None
    assert (sample.cpu_seconds, sample.memory_bytes, sample.working_set_bytes) == (12.5, None, None)


@pytest.mark.parametrize(
    "blkio", [None, {}, {"io_service_bytes_recursive": None}, {"io_service_bytes_recursive": []}]
)
def test_no_block_io_is_no_device(blkio: Any) -> None:
    sample = sample_from_stats(changed(blkio_stats=blkio), own_network=True, devices={})
    assert sample is not None
    assert sample.devices == {}


def test_64_bit_numbers_survive() -> None:
    stats = changed(memory_stats={"usage": 2**64 - 1, "stats": {"inactive_file": 0}})
    sample = sample_from_stats(stats, own_network=True, devices={})
    assert sample is not None
    assert sample.working_set_bytes == 2**64 - 1
