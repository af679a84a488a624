from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compose_agent.config import watch
from compose_agent.config.watch import FileWatch

PATIENCE_SECONDS = 10.0
# So short that the tests are quick, and long enough for two looks to be two, and not both within one write.
LOOK_SECONDS = 0.1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", LOOK_SECONDS)


class Seen:
    """Counts the changes that were noticed."""

    def __init__(self) -> None:
        self.count = 0
        self._more = threading.Condition()

    def add(self) -> None:
        with self._more:
            self.count += 1
            self._more.notify_all()

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.count >= count, PATIENCE_SECONDS), "no change noticed"
            assert self.count == count


@contextmanager
def watching(path: Path) -> Iterator[Seen]:
    seen = Seen()
    watched = FileWatch(path, seen.add)
    watched.start()
    try:
        yield seen
    finally:
        watched.stop()


def quiet_for_some_looks() -> None:
    time.sleep(5 * LOOK_SECONDS)  # that nothing happens can only be waited for


def test_another_content_is_noticed_once_and_the_same_is_not(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    path.write_text("a: 1")
    with watching(path) as seen:
        path.write_text("a: 1")
        path.touch()
        quiet_for_some_looks()
        assert seen.count == 0
        path.write_text("a: 2")
        seen.wait_for(1)
        quiet_for_some_looks()
        assert seen.count == 1


def test_a_change_between_construction_and_start_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    path.write_text("a: 1")
    seen = Seen()
    watched = FileWatch(path, seen.add)
    path.write_text("a: 2")
    watched.start()
    seen.wait_for(1)
    watched.stop()


def test_another_file_put_in_its_place_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    path.write_text("a: 1")
    with watching(path) as seen:
        (tmp_path / "new").write_text("a: 2")
        (tmp_path / "new").rename(path)
        seen.wait_for(1)


def test_a_symbolic_link_swapped_on_the_way_to_it_is_noticed(tmp_path: Path) -> None:
    """Volumes of configuration do so: agent.yml -> ..data/agent.yml, and ..data -> ..2 is swapped."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "agent.yml").write_text(f"a: {number}")
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "agent.yml"
    path.symlink_to("..data/agent.yml")
    with watching(path) as seen:
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        seen.wait_for(1)


def test_a_folder_may_come_later_go_and_come_again(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "agent.yml"
    with watching(path) as seen:
        path.parent.mkdir()
        path.write_text("a: 1")
        seen.wait_for(1)
        shutil.rmtree(path.parent)
        quiet_for_some_looks()
        path.parent.mkdir()
        path.write_text("a: 2")
        seen.wait_for(2)


def test_a_file_that_is_still_being_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen()
    watched = FileWatch(tmp_path / "agent.yml", seen.add)
    readings = iter([b"a", b"", b"a: ", b"a: 1", b"a: 1", b"a: 1"])
    looked = threading.Event()

    def read() -> bytes:
        reading = next(readings, None)
        if reading is None:
            looked.set()
        return reading or b"a: 1"

    monkeypatch.setattr(watched, "_read", read)
    watched.start()
    assert looked.wait(PATIENCE_SECONDS)
    watched.stop()
    assert seen.count == 1


def test_a_file_that_can_no_longer_be_read_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    path.write_text("a: 1")
    with watching(path) as seen:
        path.unlink()
        path.mkdir()
        seen.wait_for(1)
