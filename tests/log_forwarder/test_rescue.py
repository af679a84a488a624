"""Which files are in danger, and that somebody watches over them whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.errors import ComposeAgentError
from log_forwarder import rescue
from log_forwarder.event import Mark
from log_forwarder.rescue import Rescuer, dangers, max_files
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.jsonfile import JsonFile
from log_forwarder.spool import Spool
from log_forwarder.store import Store
from tests.log_forwarder.dockerlog import DockerLog
from tests.log_forwarder.making import ID, Names, container, until

ALL = Mark("", 0)
AT_ONCE = 0.0
LATER = 1e12


def made(tmp_path: Path, *, files: int, rotations: int) -> tuple[DockerLog, Chain]:
    """Return a log with a line in each file, and a chain that has seen every rotation."""
    log = DockerLog(tmp_path / "c", max_file=files)
    chain = Chain(log.path, JsonFile(), Names())
    log.line("0")
    chain.look()
    for number in range(1, rotations + 1):
        log.rotate()
        log.line(str(number))
        chain.look()
    return log, chain


def places(chain: Chain, files: int, needed: Mark, now: float) -> list[int]:
    found = [each.generation for each in dangers(chain, files, needed, now)]
    return [at for at, each in enumerate(chain.generations) if each in found]


@pytest.mark.parametrize(
    ("files", "rotations", "now", "endangered"),
    [
        (3, 0, LATER, []),  # nothing but the current file
        (3, 1, AT_ONCE, []),
        (3, 2, AT_ONCE, [0]),  # the next rotation removes it
        (3, 3, AT_ONCE, [0, 1]),  # one is removed already
        (3, 2, LATER, [0, 1]),  # a reader is behind
        (1, 1, AT_ONCE, [0]),  # unlinked at once
    ],
)
def test_what_is_removed_or_about_to_be_is_in_danger(
    tmp_path: Path, files: int, rotations: int, now: float, endangered: list[int]
) -> None:
    _, chain = made(tmp_path, files=files, rotations=rotations)
    assert places(chain, files, ALL, now) == endangered
    chain.close()


def test_what_every_sink_has_is_in_no_danger(tmp_path: Path) -> None:
    _, chain = made(tmp_path, files=2, rotations=3)
    last = chain.generations[-1]
    assert places(chain, 2, Mark(last.name, 0), LATER) == []
    before = chain.generations[-2]
    assert places(chain, 2, Mark(before.name, before.size), LATER) == []
    assert places(chain, 2, Mark(before.name, 0), LATER) == [2]
    chain.close()


def test_a_file_without_a_name_is_not_taken_for_the_needed_one(tmp_path: Path) -> None:
    log, chain = made(tmp_path, files=1, rotations=1)
    log.rotate()  # the current file is empty, and so has no name
    chain.look()
    assert places(chain, 1, ALL, AT_ONCE) == [0, 1]
    chain.close()


@pytest.mark.parametrize(
    ("driver", "options", "files"),
    [
        ("json-file", {}, 1),
        ("json-file", {"max-file": "3"}, 3),
        ("json-file", {"max-file": "many"}, 1),
        ("local", {}, 5),
    ],
)
def test_docker_keeps_as_many_files_as_it_is_told(driver: str, options: dict[str, str], files: int) -> None:
    assert max_files(container(log_driver=driver, log_options=options)) == files


class Log:
    """A log of which everything is needed, and which may raise."""

    removed_at = 0.0

    def __init__(self, chain: Chain) -> None:
        self.container = container(log_options={"max-file": "2"})
        self.chain = chain
        self.faults: list[Exception] = []
        self.asked = 0
        self.held_up = False

    def needs(self) -> Mark:
        self.asked += 1
        if self.faults:
            raise self.faults.pop()
        return ALL

    def is_held_up(self, now: float) -> bool:
        return self.held_up


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "state")
    yield store
    store.close()


def test_the_rescuer_copies_what_is_in_danger_and_outlives_faults(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescue, "ROUND_SECONDS", 0.01)
    _, chain = made(tmp_path, files=2, rotations=2)
    log = Log(chain)
    log.faults = [RuntimeError("a fault"), ComposeAgentError("the disk is full")]
    spool = Spool(store, 1_000_000)
    rescuer = Rescuer(spool, lambda: [log])
    rescuer.start()
    until(lambda: len(spool.of(ID)) == 2)
    rescuer.stop()
    assert log.asked >= 3
    chain.close()


@pytest.mark.parametrize(("held_up", "kept"), [(False, 0), (True, 1)])
def test_what_a_sink_does_not_take_is_copied_before_it_is_in_danger(
    tmp_path: Path, store: Store, held_up: bool, kept: int
) -> None:
    _, chain = made(tmp_path, files=3, rotations=1)
    log = Log(chain)
    log.container = container(log_options={"max-file": "3"})
    log.held_up = held_up
    spool = Spool(store, 1_000_000)
    rescuer = Rescuer(spool, lambda: [log])
    rescuer.start()
    rescuer.stop()
    assert len(spool.of(ID)) == kept
    chain.close()


def test_a_stop_goes_on_when_nothing_can_be_written(tmp_path: Path, store: Store) -> None:
    _, chain = made(tmp_path, files=2, rotations=2)
    log = Log(chain)
    rescuer = Rescuer(Spool(store, 1_000_000), lambda: [log])
    rescuer.start()
    until(lambda: log.asked)
    log.faults = [ComposeAgentError("the disk is full")] * 50
    rescuer.stop()
    assert "rescue logs" not in [each.name for each in threading.enumerate()]
    chain.close()
