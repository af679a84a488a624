"""The metrics of a frozen host, byte for byte, and what they must be by other measures."""

import re
from pathlib import Path

import pytest

from exporter.collectors import registered
from exporter.measure import FAMILIES
from lab.prometheus import promtool
from tests.exporter.parsed import names, series, values
from tests.golden import world
from tests.golden.regenerate import FILES, HERE


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_generated_file_is_current(path: Path) -> None:
    fresh = FILES[path]().encode().splitlines(keepends=True)
    assert path.read_bytes().splitlines(keepends=True) == fresh, "run: python -m tests.golden.regenerate"


def test_it_is_the_same_in_every_process(tmp_path: Path) -> None:
    assert world.texts(tmp_path / "one") == world.texts(tmp_path / "two")


def test_promtool_finds_nothing_to_say() -> None:
    done = promtool("check", "metrics", stdin=golden(world.TEXT))
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def golden(name: str) -> str:
    return (HERE / name).read_bytes().decode()


def test_every_family_that_is_registered_is_in_it() -> None:
    expected = [family.name for each in registered() for family in each.families]
    assert names(golden(world.TEXT)) == [*expected, *(each.name for each in FAMILIES)]


def test_both_formats_say_the_same_but_for_created() -> None:
    text, openmetrics = series(golden(world.TEXT)), series(golden(world.OPENMETRICS))
    created = {key for key in openmetrics if re.search("_(restarts|oom_kills)_created$", key[0])}
    assert len(created) == 2 * len(world.BOXES)
    assert {key: value for key, value in openmetrics.items() if key not in created} == text


def test_everything_succeeded() -> None:
    success = values(golden(world.TEXT), "docker_exporter_collector_success", "collector")
    assert set(success.values()) == {1.0}
    assert values(golden(world.TEXT), "docker_exporter_usage_containers", "source") == {
        ("cgroup",): 5.0,
        ("api",): 1.0,
        ("none",): 1.0,
    }


def test_every_container_is_in_exactly_one_state() -> None:
    found = values(golden(world.TEXT), "docker_container_state", "id", "state")
    for container in world.BOXES:
        states = [state for (short, state), value in found.items() if short == container.short_id and value]
        assert states == [container.state]


def test_hot_series_have_the_four_labels_and_their_own_and_no_more() -> None:
    allowed = {"name", "id", "compose_project", "compose_service", "state", "status", "interface", "device"}
    for name, pairs in series(golden(world.TEXT)):
        if name.startswith("docker_container_") and name != "docker_container_info":
            assert {label for label, _ in pairs} <= allowed
