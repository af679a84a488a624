from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.model import Container
from compose_agent.errors import StateError
from log_forwarder import files as files_module
from log_forwarder import spool as spool_module
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Position
from log_forwarder.files import LogFiles
from log_forwarder.keeper import Keeper, SinkBooks
from log_forwarder.lane import Lane
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Answer, Entry, SinkUnavailable
from log_forwarder.spool import Spool
from log_forwarder.store import GenerationNames, Store
from tests.descriptors import descriptors
from tests.log_forwarder.dockerlog import DockerLog
from tests.log_forwarder.making import RequestMemory, container, until

ONE, TWO = (letter * 64 for letter in "12")
SPOOL_BYTES = 10_000_000


class Forwarder:
    """Log files and lanes on a state directory, without the watch: the test is the watch."""

    def __init__(self, folder: Path, **sinks: RequestMemory) -> None:
        self.folder = folder
        self.unwanted: set[str] = set()
        self.from_now = False
        self.store = Store(folder / "state")
        self.keeper = Keeper(self.store)
        self.spool = Spool(self.store, SPOOL_BYTES)
        self.files = LogFiles(
            self.store, self.keeper, self.spool, self._reason_against, lambda _container: self.from_now
        )
        self.lanes = {name: self.lane(name, sink) for name, sink in sinks.items()}
        self.files.set_lanes(list(self.lanes.values()))

    def lane(self, name: str, sink: RequestMemory) -> Lane:
        lane = Lane(
            name,
            sink,
            Outbox(1_000_000),
            books=SinkBooks(name, self.keeper),
            letters=DeadLetters(self.folder),
        )
        lane.start()
        return lane

    def start(self) -> None:
        self.files.start()
        self.keeper.start()

    def stop(self) -> None:
        self.files.stop()
        for lane in self.lanes.values():
            lane.stop(0.2)
        self.keeper.stop()
        self.files.close()
        self.store.close()

    def appeared(self, log: DockerLog, **other: object) -> Container:
        found = container(log.path.parent.name, "web", **other)
        self.files.appeared(found, log.path.parent)
        self.files.file_created(found.id, log.path.name)
        return found

    def removed(self, log: DockerLog) -> None:
        log.remove()
        self.files.vanished(log.path.parent.name)

    def _reason_against(self, found: Container) -> str | None:
        return "unwanted" if found.id in self.unwanted or found.name in self.unwanted else None


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Forwarder]]:
    made: list[Forwarder] = []

    def make(**sinks: RequestMemory) -> Forwarder:
        made.append(Forwarder(tmp_path, **sinks))
        made[-1].start()
        return made[-1]

    yield make
    if made:
        made[-1].stop()


def log_of(folder: Path, id: str = ONE, *, max_file: int = 3) -> DockerLog:
    return DockerLog(folder / "containers" / id, id=id, max_file=max_file)


def texts(sink: RequestMemory) -> list[str]:
    return [event.log for event in sink.stored]


def down(_entries: Sequence[Entry], _again: bool) -> Answer | None:
    raise SinkUnavailable("gone")


def test_lines_of_containers_that_come_and_write_arrive(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    one, two = log_of(tmp_path), log_of(tmp_path, TWO)
    one.line("there before")
    for log in (one, two):
        forwarder.appeared(log)
    two.line("later")
    until(lambda: sorted(texts(sink)) == ["later", "there before"])
    assert forwarder.files.count() == 2
    assert forwarder.files.errors() == []


def test_rotations_are_followed_at_once(tmp_path: Path, make: Callable[..., Forwarder]) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path, max_file=1)
    forwarder.appeared(log)
    for number in range(30):
        log.line(str(number))
        log.rotate()
        forwarder.files.file_created(ONE, log.path.name)
    until(lambda: len(sink.stored) == 30)
    assert texts(sink) == [str(number) for number in range(30)]


def test_rotations_that_are_followed_are_no_gaps(tmp_path: Path, make: Callable[..., Forwarder]) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path, max_file=1)
    forwarder.appeared(log)
    until(lambda: forwarder.lanes["es"].follower(ONE))
    for number in range(5):
        log.line(str(number))
        log.rotate()
        forwarder.files.file_created(ONE, log.path.name)
    log.line("last")
    until(lambda: len(sink.stored) == 6)
    assert forwarder.lanes["es"].losses().gaps == 0


def test_a_removed_container_is_read_to_its_end_and_forgotten(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path)
    forwarder.appeared(log)
    log.line("first")
    until(lambda: sink.stored)
    forwarder.keeper.flush()
    log.line("last words")
    forwarder.removed(log)
    until(lambda: forwarder.files.count() == 0)
    assert texts(sink) == ["first", "last words"]
    until(lambda: forwarder.lanes["es"].follower(ONE) is None)  # its lane hears of it last
    until(lambda: not forwarder.store._rows("SELECT * FROM generations", ()))


def test_the_position_of_a_removed_container_is_forgotten(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: forwarder.store.positions("es"))
    forwarder.removed(log)
    until(lambda: not forwarder.store.positions("es"))


def test_a_position_that_waits_to_be_written_goes_with_its_container(
    tmp_path: Path, make: Callable[..., Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RequestMemory()
    monkeypatch.setattr("log_forwarder.keeper.INTERVAL_SECONDS", 3600.0)
    forwarder = make(es=sink)
    log = log_of(tmp_path)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: sink.stored)
    forwarder.removed(log)
    until(lambda: not forwarder.store._rows("SELECT * FROM generations", ()))
    forwarder.keeper.flush()
    assert forwarder.store.positions("es") == {}


def test_the_last_lines_of_a_removed_container_wait_for_a_sink_that_is_down(
    tmp_path: Path, make: Callable[..., Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "LOOK_SECONDS", 3600.0)
    sink = RequestMemory(down)
    forwarder = make(es=sink)
    lane = forwarder.lanes["es"]
    busy = log_of(tmp_path, TWO)
    busy.line("x" * 1000)
    lane.outbox._limit = 10
    for log in (busy, quiet := log_of(tmp_path)):
        forwarder.appeared(log)
    until(lambda: lane.outbox.tally().held and lane.follower(ONE))
    busy.line("y" * 1000)
    forwarder.files.file_created(TWO, busy.path.name)  # the reader waits for room now
    until(lambda: lane.follower(TWO).unsettled() == 2)  # type: ignore[union-attr]
    quiet.line("last words")
    forwarder.removed(quiet)
    forwarder.files._tidy()
    assert forwarder.files.count() == 2


def test_a_sink_that_is_down_stalls_its_own_lane_only(tmp_path: Path, make: Callable[..., Forwarder]) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink, broken=RequestMemory(down))
    log = log_of(tmp_path)
    forwarder.appeared(log)
    for number in range(50):
        log.line(str(number))
    until(lambda: len(sink.stored) == 50)
    assert forwarder.lanes["broken"].outbox.tally().sent == 0
    forwarder.removed(log)
    assert forwarder.files.count() == 1


def test_a_restart_goes_on_where_the_last_one_ended(tmp_path: Path, make: Callable[..., Forwarder]) -> None:
    sink = RequestMemory()
    log = log_of(tmp_path)
    first = make(es=sink)
    first.appeared(log)
    log.line("a")
    until(lambda: sink.stored)
    until(lambda: first.lanes["es"].outbox.tally().held == 0)
    first.stop()
    log.rotate()
    log.line("b")
    make(es=sink).appeared(log)
    until(lambda: len(sink.stored) == 2)
    assert texts(sink) == ["a", "b"]


def test_a_new_lane_hears_of_every_container_and_an_old_one_keeps_its_place(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    old, new = RequestMemory(), RequestMemory()
    forwarder = make(old=old)
    log = log_of(tmp_path)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: old.stored)
    forwarder.lanes["new"] = forwarder.lane("new", new)
    forwarder.files.set_lanes(list(forwarder.lanes.values()))
    log.line("b")
    until(lambda: len(old.stored) == len(new.stored) == 2)
    assert texts(old) == texts(new) == ["a", "b"]


def test_a_lane_that_takes_the_place_of_another_goes_on_where_that_one_ended(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: sink.stored)
    forwarder.lanes["es"].stop(5.0)
    forwarder.lanes["es"] = forwarder.lane("es", sink)
    forwarder.files.set_lanes(list(forwarder.lanes.values()))
    log.line("b")
    until(lambda: len(sink.stored) == 2)
    assert texts(sink) == ["a", "b"]


def test_unwanted_containers_are_not_read_until_they_are_wanted(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    forwarder.unwanted = {ONE}
    log = log_of(tmp_path)
    log.line("a")
    forwarder.appeared(log)
    assert forwarder.files.count() == 0
    forwarder.unwanted = set()
    forwarder.files.reconsider()
    until(lambda: sink.stored)
    forwarder.unwanted = {ONE}
    forwarder.files.reconsider()
    assert forwarder.files.count() == 0
    log.line("b")
    forwarder.files.vanished(ONE)
    assert texts(sink) == ["a"]


def test_a_container_that_is_wanted_again_goes_on_at_its_position(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: sink.stored)
    until(lambda: forwarder.store.positions("es"))
    for unwanted in ({ONE}, set[str]()):
        forwarder.unwanted = unwanted
        forwarder.files.reconsider()
    log.line("b")
    until(lambda: len(sink.stored) > 1)
    assert texts(sink) == ["a", "b"]


def test_a_container_that_turns_out_to_be_unwanted_is_let_go(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    forwarder = make(es=RequestMemory())
    forwarder.unwanted = {"opted-out"}
    unknown = replace(forwarder.appeared(log_of(tmp_path)), name="")
    forwarder.files.changed(replace(unknown, name="opted-out"))
    assert forwarder.files.count() == 0


def test_logs_of_other_drivers_are_left_alone(tmp_path: Path, make: Callable[..., Forwarder]) -> None:
    forwarder = make(es=RequestMemory())
    forwarder.appeared(log_of(tmp_path), log_driver="journald")
    assert forwarder.files.count() == 0


def test_a_log_that_cannot_be_opened_is_told_and_taken_up_when_it_can(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path)
    log.line("a")
    hidden = log.path.rename(log.path.with_name("hidden"))
    log.path.symlink_to(log.path)
    forwarder.appeared(log)
    (error,) = forwarder.files.errors()
    assert error.startswith("the log of web cannot be opened (Too many levels of symbolic links")
    log.path.unlink()
    hidden.rename(log.path)
    until(lambda: sink.stored)
    assert forwarder.files.errors() == []


def test_files_that_every_sink_has_are_closed(
    tmp_path: Path, make: Callable[..., Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "_TIDY_SECONDS", 0.0)
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path, max_file=2)
    forwarder.appeared(log)
    for number in range(10):
        log.line(str(number))
        log.rotate()
        forwarder.files.file_created(ONE, log.path.name)
    log.line("last")
    until(lambda: len(sink.stored) == 11)
    until(lambda: len(forwarder.files._logs[ONE].chain.generations) == 1)
    until(lambda: len(forwarder.store._rows("SELECT * FROM generations", ())) == 1)  # forgotten after that


def test_a_container_may_vanish_or_change_before_it_is_known(make: Callable[..., Forwarder]) -> None:
    forwarder = make(es=RequestMemory())
    forwarder.files.vanished(ONE)
    forwarder.files.changed(container(ONE))
    forwarder.files.file_created(ONE, "x")
    assert forwarder.files.count() == 0


def test_a_container_that_is_wanted_again_finds_its_copies(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    sink = RequestMemory(down)
    forwarder = make(es=sink)
    log = log_of(tmp_path, max_file=1)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: forwarder.lanes["es"].follower(ONE))
    log.rotate()
    forwarder.files.file_created(ONE, log.path.name)
    until(lambda: forwarder.spool.of(ONE))
    forwarder.unwanted = {ONE}
    forwarder.files.reconsider()
    sink._plan = lambda _entries, _again: None
    forwarder.unwanted = set()
    forwarder.files.reconsider()
    log.line("b")
    until(lambda: len(sink.stored) > 1)
    assert texts(sink) == ["a", "b"]


@pytest.mark.parametrize("removed_first", [False, True])
def test_copies_of_a_container_that_is_gone_and_unwanted_are_removed(
    tmp_path: Path, make: Callable[..., Forwarder], removed_first: bool
) -> None:
    forwarder = make(es=RequestMemory(down))
    log = log_of(tmp_path, max_file=1)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: forwarder.lanes["es"].follower(ONE))
    log.rotate()
    forwarder.files.file_created(ONE, log.path.name)
    until(lambda: forwarder.spool.of(ONE))
    forwarder.unwanted = {ONE}
    if removed_first:
        forwarder.removed(log)
        forwarder.files.reconsider()
    else:
        forwarder.files.reconsider()
        assert forwarder.spool.of(ONE)
        forwarder.removed(log)
    assert forwarder.spool.of(ONE) == []
    assert forwarder.store.positions("es") == {}


def test_lines_on_their_way_are_not_read_a_second_time(
    tmp_path: Path, make: Callable[..., Forwarder]
) -> None:
    """A container that is left out and taken in again, while the sink has not confirmed its lines."""
    sink = RequestMemory(down)
    forwarder = make(es=sink)
    log = log_of(tmp_path)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: forwarder.lanes["es"].outbox.tally().held)
    for unwanted in ({ONE}, set[str]()):
        forwarder.unwanted = unwanted
        forwarder.files.reconsider()
    sink._plan = lambda _entries, _again: None
    log.line("b")
    until(lambda: len(sink.stored) > 1)
    assert texts(sink) == ["a", "b"]


def test_a_fault_in_one_round_does_not_end_the_looking(
    tmp_path: Path, make: Callable[..., Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RequestMemory()
    forwarder = make(es=sink)
    log = log_of(tmp_path)
    rounds: list[None] = []

    def tidy() -> None:
        rounds.append(None)
        if len(rounds) == 1:
            raise RuntimeError("planted")

    monkeypatch.setattr(forwarder.files, "_tidy", tidy)
    forwarder.appeared(log)
    until(lambda: rounds)
    log.line("after")
    until(lambda: sink.stored)


def test_files_that_an_earlier_life_has_read_are_not_missed(
    tmp_path: Path, make: Callable[..., Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This life names them anew, after the file that the other one read last."""
    monkeypatch.setattr(files_module, "_TIDY_SECONDS", 0.0)
    sink = RequestMemory()
    log = log_of(tmp_path)
    log.line("a")
    for life, texts_of_life in enumerate(("bc", "de")):
        forwarder = make(es=sink)
        forwarder.appeared(log)
        chain = forwarder.files._logs[ONE].chain
        for text in texts_of_life:
            until(lambda: len(chain.generations) == 1)  # noqa: B023 - at once
            log.rotate()
            log.line(text)
            forwarder.files.file_created(ONE, log.path.name)
            until(lambda: texts(sink)[-1:] == [text])  # noqa: B023 - at once
        until(lambda: forwarder.lanes["es"].outbox.tally().held == 0)  # noqa: B023 - at once
        assert forwarder.lanes["es"].losses().gaps == 0, life
        if life == 0:
            forwarder.stop()
    assert texts(sink) == ["a", "b", "c", "d", "e"]


def test_a_generation_is_known_until_the_position_behind_it_is_written(
    tmp_path: Path, make: Callable[..., Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a kill in between would have the whole file shipped again, under other ids."""
    monkeypatch.setattr(files_module, "_TIDY_SECONDS", 0.0)
    sink = RequestMemory()
    forwarder = make(es=sink)
    kept: list[Position | None] = []
    real = GenerationNames.forget_before

    def forget_before(names: GenerationNames, name: str, let_go: Collection[str]) -> None:
        kept.append(forwarder.store.positions("es").get(ONE))
        real(names, name, let_go)

    monkeypatch.setattr(GenerationNames, "forget_before", forget_before)
    monkeypatch.setattr(forwarder.keeper, "keep", _late(forwarder.keeper))
    log = log_of(tmp_path, max_file=2)
    forwarder.appeared(log)
    log.line("a")
    until(lambda: len(sink.stored) == 1)
    log.rotate()
    log.line("b")
    forwarder.files.file_created(ONE, log.path.name)
    until(lambda: kept)
    newest = forwarder.files._logs[ONE].chain.generations[-1].name
    assert kept[0]
    assert kept[0].mark.generation == newest


def _late(keeper: Keeper) -> Callable[[tuple[str, str], Position], None]:
    """Take positions without waking the thread that writes them."""

    def keep(key: tuple[str, str], position: Position) -> None:
        with keeper._lock:
            keeper._fresh[key], keeper._fresh_since = position, time.monotonic()

    return keep


def test_a_copy_that_is_made_while_its_container_is_forgotten_does_not_stay(
    tmp_path: Path, make: Callable[..., Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next start would take it for unshipped lines."""
    back = threading.Event()

    def plan(_entries: Sequence[Entry], _again: bool) -> Answer | None:
        if not back.is_set():
            raise SinkUnavailable("gone")
        return None

    sink = RequestMemory(plan)
    forwarder = make(es=sink)

    def sync(_folder: Path) -> None:
        back.set()
        until(lambda: forwarder.files.count() == 0)

    monkeypatch.setattr(spool_module, "sync_folder", sync)
    log = log_of(tmp_path)
    log.line("a")
    forwarder.appeared(log)
    until(lambda: forwarder.lanes["es"].outbox.tally().held)
    forwarder.removed(log)
    until(lambda: forwarder.files.count() == 0)
    until(lambda: not forwarder.store.spooled())
    assert texts(sink) == ["a"]
    assert forwarder.spool.used == 0


def test_what_the_state_cannot_take_is_held_open_and_read_when_it_can(
    tmp_path: Path, make: Callable[..., Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "_TIDY_SECONDS", 0.0)
    sink = RequestMemory()
    forwarder = make(es=sink)
    full = True
    real = forwarder.store.add_generation

    def add(*arguments: Any) -> None:
        if full:
            raise StateError("the disk is full")
        real(*arguments)

    monkeypatch.setattr(forwarder.store, "add_generation", add)
    short, changing = log_of(tmp_path), log_of(tmp_path, TWO)
    short.line("short life")
    before = descriptors(tmp_path)
    forwarder.appeared(short)
    forwarder.removed(short)
    changing.line("unwanted")
    unknown = forwarder.appeared(changing)
    assert forwarder.files.errors() == ["the disk is full"] * 2
    time.sleep(1.0)
    assert descriptors(tmp_path) - before <= 2
    forwarder.unwanted = {"opted-out"}
    forwarder.files.changed(replace(unknown, name="opted-out"))
    forwarder.files.reconsider()  # which must not let go of what is left of the first one
    full = False
    until(lambda: sink.stored)
    until(lambda: forwarder.files.count() == 0)
    assert texts(sink) == ["short life"]
    assert forwarder.files.errors() == []


def test_of_a_log_in_no_file_it_is_said_once(tmp_path: Path, make: Callable[..., Forwarder]) -> None:
    forwarder = make(es=RequestMemory())
    told: list[Container] = []
    forwarder.files._without_files = told.append
    found = forwarder.appeared(log_of(tmp_path), log_driver="journald")
    forwarder.files.reconsider()
    forwarder.files.changed(found)
    assert told == [found]


def test_a_stop_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    forwarder = Forwarder(tmp_path, es=RequestMemory())
    forwarder.start()
    forwarder.stop()
    assert set(threading.enumerate()) <= before
