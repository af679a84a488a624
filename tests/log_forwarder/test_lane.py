from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from log_forwarder import lane as lane_module
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Mark, Position
from log_forwarder.keeper import Keeper, SinkBooks
from log_forwarder.lane import Arrival, Lane
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Answer, Entry, Sink, SinkUnavailable
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.follower import Format
from log_forwarder.sources.jsonfile import Decoded, JsonFile
from log_forwarder.store import Store
from tests.log_forwarder.dockerlog import DockerLog
from tests.log_forwarder.making import Names, RequestMemory, WindowMemory, container, until

ONE, TWO = (letter * 64 for letter in "12")


class Run:
    """A lane, with logs of its own."""

    def __init__(
        self,
        folder: Path,
        sink: Sink,
        *,
        limit: int = 1_000_000,
        positions: dict[str, Position] | None = None,
    ) -> None:
        self.folder = folder
        self.keeper = Keeper(Store(folder / f"state-{len([*folder.iterdir()])}"))
        for container_id, position in (positions or {}).items():
            self.keeper.keep(("es", container_id), position)
        self.outbox = Outbox(limit)
        self.lane = Lane(
            "es",
            sink,
            self.outbox,
            books=SinkBooks("es", self.keeper),
            letters=DeadLetters(folder),
        )
        self.logs: dict[str, DockerLog] = {}
        self.chains: dict[str, Chain] = {}

    @property
    def kept(self) -> dict[tuple[str, str], Position]:
        return {("es", container_id): each for container_id, each in self.keeper.positions("es").items()}

    def add(self, id: str, format_: Format | None = None, *, from_now: bool = False) -> DockerLog:
        log = self.logs[id] = DockerLog(self.folder / id, id=id)
        chain = self.chains[id] = Chain(log.path, JsonFile(), Names())
        chain.look()
        arrival = Arrival(container(id, id[:1]), chain, format_ or JsonFile(), from_now=from_now)
        self.lane.add(arrival)
        return log

    def tell(self, id: str) -> None:
        self.chains[id].look()
        self.lane.notice([id])

    def close(self) -> None:
        for chain in self.chains.values():
            chain.close()


@contextmanager
def running(run: Run, drain: float = 5.0) -> Iterator[Run]:
    run.lane.start()
    try:
        yield run
    finally:
        run.lane.stop(drain)
        run.close()


def texts(sink: RequestMemory) -> list[str]:
    return [event.log for event in sink.stored]


def down(_entries: Sequence[Entry], _again: bool) -> Answer | None:
    raise SinkUnavailable("gone")


def test_lines_travel_from_the_log_to_the_sink_and_their_position_is_kept(tmp_path: Path) -> None:
    sink = RequestMemory()
    with running(Run(tmp_path, sink)) as run:
        log = run.add(ONE)
        log.line("a")
        run.tell(ONE)
        until(lambda: ("es", ONE) in run.kept)
    assert texts(sink) == ["a"]
    assert run.kept["es", ONE].mark == Mark("g1", log.path.stat().st_size)
    assert sink.closed


def test_a_window_sink_is_fed_too(tmp_path: Path) -> None:
    sink = WindowMemory()
    with running(Run(tmp_path, sink)) as run:
        run.add(ONE).line("a")
        run.tell(ONE)
        until(lambda: run.kept)
    assert [parcel.id for parcel in sink.connections[0]] == ["a"]


def test_a_stop_delivers_what_is_read_and_ends_in_bounded_time_when_it_cannot(tmp_path: Path) -> None:
    run = Run(tmp_path, RequestMemory(down))
    with running(run, drain=0.1):
        run.add(ONE).line("a")
        run.tell(ONE)
        until(lambda: run.lane.health.attempts)
    assert run.kept == {}
    assert run.outbox.tally().held == 1
    assert not [thread for thread in threading.enumerate() if thread.name in ("read es", "send es")]


def test_a_full_outbox_makes_the_reader_wait_and_not_lose(tmp_path: Path) -> None:
    stuck = threading.Event()

    def plan(_entries: Sequence[Entry], _again: bool) -> Answer | None:
        if not stuck.is_set():
            raise SinkUnavailable("gone")
        return None

    sink = RequestMemory(plan, most_bytes=1)
    with running(Run(tmp_path, sink, limit=10)) as run:
        log = run.add(ONE)
        for number in range(5):
            log.line(str(number))
            run.tell(ONE)
            until(lambda: run.lane.health.attempts)
        assert run.outbox.tally().held <= 5
        stuck.set()
        until(lambda: len(sink.stored) == 5)
    assert texts(sink) == list("01234")


def test_a_position_from_before_is_taken_up(tmp_path: Path) -> None:
    sink = RequestMemory()
    log = DockerLog(tmp_path / ONE, id=ONE)
    log.line("old")
    size = log.path.stat().st_size
    log.line("new")
    run = Run(tmp_path, sink, positions={ONE: Position(Mark("g1", size))})
    assert run.lane.needs(ONE) == Mark("g1", size)
    with running(run):
        run.add(ONE)
        until(lambda: sink.stored)
    assert texts(sink) == ["new"]


def test_standings_tell_how_far_the_lane_is(tmp_path: Path) -> None:
    run = Run(tmp_path, RequestMemory(down))
    with running(run, drain=0.0):
        run.add(ONE).line("a")
        run.tell(ONE)
        until(lambda: [each.unsettled for each in run.lane.standings()] == [1])
        (standing,) = run.lane.standings()
        assert standing.container.id == ONE
        assert standing.behind_bytes == 0
        assert standing.oldest_seconds >= 0


def test_a_lane_that_is_behind_tells_by_how_long(tmp_path: Path) -> None:
    run = Run(tmp_path, RequestMemory(down, most_bytes=1), limit=10)
    began = time.monotonic()
    with running(run, drain=0.0):
        log = run.add(ONE)
        for text in ("on its way", "waiting for room"):
            log.line(text)
            run.tell(ONE)
            # Else two of them are one batch.
            until(lambda: [each.behind_bytes for each in run.lane.standings()] == [0])
        log.line("not read")
        run.tell(ONE)
        until(lambda: run.lane.standings()[0].behind_bytes)
        until(lambda: run.lane.standings()[0].behind_seconds > 0.01)
        assert run.lane.standings()[0].behind_seconds < time.monotonic() - began


def test_nothing_is_read_while_positions_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a kill would leave more to look for in a sink than it looks back."""
    sink = RequestMemory()
    run = Run(tmp_path, sink)
    late = True
    monkeypatch.setattr(run.keeper, "unwritten_seconds", lambda: 60.0 if late else 0.0)
    with running(run):
        run.add(ONE).line("a")
        time.sleep(3 * lane_module._WAIT_SECONDS)
        assert sink.stored == []
        late = False
        until(lambda: sink.stored)


def test_a_container_that_is_let_go_leaves_its_losses(tmp_path: Path) -> None:
    sink = RequestMemory()
    with running(Run(tmp_path, sink)) as run:
        log = run.add(ONE)
        log.append(b"junk\n")
        log.line("a")
        run.tell(ONE)
        until(lambda: sink.stored)
        run.lane.forget(ONE, gone=True)
        assert run.lane.follower(ONE) is None
        assert run.lane.losses().corrupt == 1
        assert run.lane.needs(ONE) == Mark("", 0)


def test_one_log_that_cannot_be_read_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "_RETRY_SECONDS", 0.01)

    class Unreadable(JsonFile):
        def decode(self, block: bytes, offset: int) -> Decoded:
            raise OSError("Input/output error")

    sink = RequestMemory()
    with running(Run(tmp_path, sink)) as run:
        run.add(ONE, Unreadable()).line("a")
        run.tell(ONE)
        until(lambda: "Input/output error" in "".join(run.lane.errors.values()))
        run.add(TWO).line("b")
        run.tell(TWO)
        until(lambda: sink.stored)
    assert texts(sink) == ["b"]


def test_a_container_that_changes_is_described_anew_from_then_on(tmp_path: Path) -> None:
    seen: list[str] = []

    class Described(RequestMemory):
        def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
            seen.extend(entry.batch.container.name for entry in entries)
            return super().send(entries, again=again)

    with running(Run(tmp_path, Described())) as run:
        log = run.add(ONE)
        log.line("a")
        run.tell(ONE)
        until(lambda: len(seen) == 1)
        run.lane.update(replace(container(ONE), name="renamed"))
        log.line("b")
        run.tell(ONE)
        until(lambda: len(seen) == 2)
    assert seen == ["1", "renamed"]


def test_a_container_that_changes_before_it_is_followed_is_described_anew(tmp_path: Path) -> None:
    sink = RequestMemory()
    run = Run(tmp_path, sink)
    run.add(ONE)
    run.lane.update(replace(container(ONE), name="named by now"))
    with running(run):
        until(lambda: run.lane.follower(ONE))
        follower = run.lane.follower(ONE)
        assert follower is not None
        assert follower.container.name == "named by now"


def test_a_container_that_is_gone_before_it_is_followed_is_not_followed(tmp_path: Path) -> None:
    run = Run(tmp_path, RequestMemory())
    run.add(ONE)
    run.lane.forget(ONE, gone=True)
    run.add(TWO)
    with running(run):
        until(lambda: run.lane.follower(TWO))
        assert run.lane.follower(ONE) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_letting_go_of_a_container_that_is_being_read_does_not_end_the_lane(tmp_path: Path) -> None:
    sink = RequestMemory()
    run = Run(tmp_path, sink)

    class Slow(JsonFile):
        def decode(self, block: bytes, offset: int) -> Decoded:
            run.lane.forget(ONE, gone=True)  # what another thread does at this moment
            return Decoded([], [], len(block))

    log = run.add(ONE, Slow())
    log.line("a")
    log.rotate()
    log.line("b")
    run.tell(ONE)
    with running(run):
        until(lambda: not run.lane._arrivals)
        run.add(TWO).line("of another")
        run.tell(TWO)
        until(lambda: sink.stored)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_in_one_log_does_not_end_the_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "_RETRY_SECONDS", 0.01)

    class Faulty(JsonFile):
        def decode(self, block: bytes, offset: int) -> Decoded:
            raise RecursionError

    sink = RequestMemory()
    with running(Run(tmp_path, sink)) as run:
        run.add(ONE, Faulty()).line("a")
        run.tell(ONE)
        run.add(TWO).line("b")
        run.tell(TWO)
        until(lambda: sink.stored)


def test_two_lanes_on_the_same_logs_do_not_wait_for_one_another(tmp_path: Path) -> None:
    sink = RequestMemory()
    slow, quick = Run(tmp_path, RequestMemory(down), limit=1), Run(tmp_path, sink)
    log = DockerLog(tmp_path / ONE, id=ONE)
    chain = Chain(log.path, JsonFile(), Names())
    for run in (slow, quick):
        run.chains[ONE] = chain
        run.lane.add(Arrival(container(ONE), chain, JsonFile(), from_now=False))
    with running(slow, drain=0.0), running(quick):
        for number in range(20):
            log.line(str(number))
            slow.tell(ONE)
            quick.lane.notice([ONE])
        until(lambda: len(sink.stored) == 20)
        assert slow.outbox.tally().sent == 0
    assert texts(sink) == [str(number) for number in range(20)]
