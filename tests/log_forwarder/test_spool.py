"""Copies of what Docker removes: they read like the original, outlive a kill, and keep to their bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from log_forwarder.event import Mark, Position
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.follower import Follower
from log_forwarder.sources.jsonfile import JsonFile
from log_forwarder.spool import Spool
from log_forwarder.store import Store
from tests.log_forwarder.dockerlog import DockerLog
from tests.log_forwarder.making import ID, container

LIMIT = 1_000_000


class Books:
    """What is remembered of a container, nothing if it is new."""

    reserved: Mark | None = None

    def __init__(self, position: Position | None = None) -> None:
        self.position = position

    def keep(self, position: Position) -> None:
        self.position = position

    def reserve(self, mark: Mark) -> None:
        """Remember nothing."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "state")
    yield store
    store.close()


@pytest.fixture
def log(tmp_path: Path) -> DockerLog:
    log = DockerLog(tmp_path / "c", max_file=1)
    for number in range(10):
        log.line(f"old {number}")
    return log


def chain_of(log: DockerLog, store: Store) -> Chain:
    chain = Chain(log.path, JsonFile(), store.names(ID))
    chain.look()
    return chain


def follow(chain: Chain, position: Position | None = None) -> Follower:
    return Follower(container(), chain, JsonFile(), Books(position))


def read(follower: Follower) -> list[tuple[str, str]]:
    found = []
    while batch := follower.read():
        found += [(event.id, event.log) for event in batch.events]
    return found


def rotated(log: DockerLog, chain: Chain) -> None:
    """Have Docker remove the file, because it keeps one only."""
    chain.identify(chain.generations[0])
    log.rotate()
    log.line("new")
    chain.look()


def test_a_copy_is_read_in_place_of_the_original_with_the_same_ids(log: DockerLog, store: Store) -> None:
    chain = chain_of(log, store)
    original = read(follow(chain))
    rotated(log, chain)
    follower = follow(chain)
    assert Spool(store, LIMIT).rescue(container(), chain, chain.generations[0], 0)
    found = read(follower)
    assert found[:10] == original
    assert [text for _, text in found[10:]] == ["new"]
    chain.close()


def test_a_follower_goes_on_in_the_copy_of_what_it_was_reading(log: DockerLog, store: Store) -> None:
    chain = chain_of(log, store)
    follower = follow(chain)
    assert len(read(follower)) == 10
    log.line("unread")
    rotated(log, chain)
    assert Spool(store, LIMIT).rescue(container(), chain, chain.generations[0], follower.offset)
    assert [text for _, text in read(follower)] == ["unread", "new"]
    chain.close()


def test_a_copy_that_is_made_before_the_removal_is_noticed_does_not_stop_the_follower(
    log: DockerLog, store: Store
) -> None:
    chain = chain_of(log, store)
    follower = follow(chain)
    assert len(read(follower)) == 10
    log.line("last")
    log.rotate()
    assert Spool(store, LIMIT).rescue(container(), chain, chain.generations[0], 0)
    log.line("new")
    chain.look()
    assert [text for _, text in read(follower)] == ["last", "new"]
    chain.close()


def test_copies_outlive_a_kill(log: DockerLog, store: Store) -> None:
    chain = chain_of(log, store)
    original = read(follow(chain))
    rotated(log, chain)
    Spool(store, LIMIT).rescue(container(name="web-1"), chain, chain.generations[0], 0)
    chain.close()
    spool = Spool(store, LIMIT)
    spool.load()
    assert [(each.id, each.name) for each in spool.containers()] == [(ID, "web-1")]
    again = chain_of(log, store)
    (name,) = spool.of(ID)
    kept = spool.open(ID, name)
    assert kept
    again.adopt(kept)
    assert read(follow(again))[:10] == original
    again.close()


def test_what_does_not_fit_is_not_copied(log: DockerLog, store: Store) -> None:
    chain = chain_of(log, store)
    rotated(log, chain)
    spool = Spool(store, 100)
    assert not spool.rescue(container(), chain, chain.generations[0], 0)
    assert spool.used == 0
    assert store.spooled() == []
    chain.close()


def test_a_copy_that_every_sink_has_is_removed(log: DockerLog, store: Store) -> None:
    chain = chain_of(log, store)
    rotated(log, chain)
    spool = Spool(store, LIMIT)
    spool.rescue(container(), chain, chain.generations[0], 0)
    (name,) = spool.of(ID)
    spool.remove(ID, name)
    assert (spool.used, store.spooled(), list(spool.folder.iterdir())) == (0, [], [])
    chain.close()


def test_only_copies_that_a_kill_left_are_removed_at_the_start(store: Store) -> None:
    spool = Spool(store, LIMIT)
    spool.folder.mkdir()
    half = spool.folder / "111111111111-aaaaaaaaaaaa-0"
    half.write_bytes(b"half a copy")
    somebody_s = spool.folder / "lost+found"
    somebody_s.mkdir()
    spool.load()
    assert spool.containers() == []
    assert list(spool.folder.iterdir()) == [somebody_s]


def test_what_another_process_of_the_same_forwarder_copied_is_left_alone(store: Store) -> None:
    spool = Spool(store, LIMIT, mine=lambda container: container != "222222222222")
    spool.folder.mkdir()
    (spool.folder / "111111111111-aaaaaaaaaaaa-0").touch()
    other_s = spool.folder / "222222222222-aaaaaaaaaaaa-0"
    other_s.touch()
    spool.load()
    assert list(spool.folder.iterdir()) == [other_s]


def test_a_copy_that_an_earlier_run_made_is_not_made_again(log: DockerLog, store: Store) -> None:
    """Docker still had the file at the start, and removes it later."""
    log.max_file = 2
    chain = chain_of(log, store)
    rotated(log, chain)
    assert Spool(store, LIMIT).rescue(container(), chain, chain.generations[0], 0)
    chain.close()
    again = chain_of(log, store)
    again.identify(again.generations[0])
    spool = Spool(store, LIMIT)
    spool.load()
    assert spool.rescue(container(), again, again.generations[0], 5)
    assert spool.rescued_bytes == 0
    assert again.generations[0].copied
    assert [text for _, text in read(follow(again))] == [*(f"old {number}" for number in range(10)), "new"]
    again.close()


def test_a_copy_that_begins_too_late_is_replaced(log: DockerLog, store: Store) -> None:
    """A sink that came later wants the whole file."""
    log.max_file = 2
    chain = chain_of(log, store)
    offset = follow(chain)
    read(offset)
    log.line("end")
    rotated(log, chain)
    spool = Spool(store, LIMIT)
    assert spool.rescue(container(), chain, chain.generations[0], offset.offset)
    chain.close()
    again = chain_of(log, store)
    again.identify(again.generations[0])
    assert spool.rescue(container(), again, again.generations[0], 0)
    assert len(read(follow(again))) == 12
    assert len(list(spool.folder.iterdir())) == 1
    again.close()


def test_of_a_copy_what_every_sink_had_is_not_asked_for(log: DockerLog, store: Store) -> None:
    """A kill may leave a position that is older than the copy."""
    chain = chain_of(log, store)
    follower = follow(chain)
    read(follower)
    log.line("end")
    rotated(log, chain)
    name = chain.generations[0].name
    assert Spool(store, LIMIT).rescue(container(), chain, chain.generations[0], follower.offset)
    chain.close()
    again, spool = chain_of(log, store), Spool(store, LIMIT)
    spool.load()
    kept = spool.open(ID, name)
    assert kept
    again.adopt(kept)
    assert [text for _, text in read(follow(again, Position(Mark(name, 0))))] == ["end", "new"]
    again.close()


@pytest.mark.parametrize(("rotations", "gaps"), [(0, 0), (1, 0), (2, 1)])
def test_what_came_and_went_between_two_lives_is_counted(
    log: DockerLog, store: Store, rotations: int, gaps: int
) -> None:
    """Also when all of what is known was kept."""
    log.max_file = 2
    chain = chain_of(log, store)
    chain.identify(chain.generations[0])
    chain.generations[0].finish()
    assert Spool(store, LIMIT).rescue(container(), chain, chain.generations[0], 0)
    name = chain.generations[0].name
    chain.close()
    for number in range(rotations):
        log.rotate()
        log.line(f"new {number}")
    again, spool = chain_of(log, store), Spool(store, LIMIT)
    spool.load()
    if name not in [each.name for each in again.generations]:
        kept = spool.open(ID, name)
        assert kept
        again.adopt(kept)
    follower = follow(again, Position(Mark(name, 0)))
    found = [text for _, text in read(follower)]
    assert found[10:] == [f"new {number}" for number in range(rotations)]
    assert follower.losses.gaps == gaps
    again.close()


def test_of_a_log_that_was_let_go_nothing_is_copied(log: DockerLog, store: Store) -> None:
    chain = chain_of(log, store)
    rotated(log, chain)
    generation = chain.generations[0]
    chain.close()
    spool = Spool(store, LIMIT)
    assert not spool.rescue(container(), chain, generation, 0)
    assert (spool.error, store.spooled()) == ("", [])


def test_a_spool_that_cannot_be_written_says_so_and_changes_nothing(log: DockerLog, store: Store) -> None:
    chain = chain_of(log, store)
    rotated(log, chain)
    spool = Spool(store, LIMIT)
    spool.folder.write_text("in the way")
    before = chain.generations
    assert not spool.rescue(container(), chain, chain.generations[0], 0)
    assert "cannot be kept" in spool.error
    assert chain.generations == before
    chain.close()
