from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.dockerd.logstream import LogStream, Piece
from compose_agent.dockerd.model import Container, container_from_inspect
from log_forwarder.event import Batch, Mark, Position
from log_forwarder.sources import pump
from log_forwarder.sources.api import ApiFollower
from log_forwarder.sources.pieces import PIECE_BYTES
from log_forwarder.sources.places import Lines, Nanos, Place, places_of, position_of
from log_forwarder.sources.pump import OVERLAP_NS, Received
from log_forwarder.transforms.marks import mark_of
from tests.log_forwarder.making import ID, until

BASE = 1_767_323_045_000_000_000  # 2026-01-02T03:04:05Z
SHORT = ID[:12]
FULL = b"x" * PIECE_BYTES


def piece(data: bytes, number: int, stream: str = "stdout") -> Piece:
    return Piece(stream, f"2026-01-02T03:04:05.{number:09d}Z", data)


def take(lines: Lines, *pieces: Piece) -> list[tuple[str, str]]:
    nanos = Nanos()
    found = [line for each in pieces for line in lines.take(each, nanos.of(each.time))]
    return [(line.id, line.log) for line in found]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-01-02T03:04:05.000000007Z", BASE + 7),
        ("1970-01-01T00:00:00.000000000Z", 0),
        ("2262-01-01T00:00:00.999999999Z", 9214646400999999999),
    ],
)
def test_times_are_nanoseconds(text: str, wanted: int) -> None:
    assert Nanos().of(text) == wanted


def test_a_line_is_known_by_its_stream_its_time_and_its_ordinal() -> None:
    lines = Lines(SHORT, None)
    found = take(lines, piece(b"a\n", 1), piece(b"b\n", 1), piece(b"c\n", 1, "stderr"), piece(b"\xff\n", 2))
    assert found == [
        (f"{SHORT}.api-o0.{BASE + 1:x}", "a"),
        (f"{SHORT}.api-o1.{BASE + 1:x}", "b"),
        (f"{SHORT}.api-e0.{BASE + 1:x}", "c"),
        (f"{SHORT}.api-o0.{BASE + 2:x}", "\ufffd"),
    ]
    assert all(id_.count(".") == 2 for id_, _ in found)


@pytest.mark.parametrize("newline", [b"\n", b""])
def test_pieces_of_a_line_are_joined_also_where_the_engine_leaves_out_its_newline(newline: bytes) -> None:
    lines = Lines(SHORT, None)
    other = piece(b"other\n", 2, "stderr")
    found = take(lines, piece(FULL, 1), piece(FULL, 1), other, piece(b"end" + newline, 1), piece(b"b\n", 3))
    assert [text for _, text in found] == ["other", "x" * 2 * PIECE_BYTES + "end", "b"]


def test_a_position_survives_being_written_down() -> None:
    places = {"stdout": Place(5, 2), "stderr": Place(7)}
    position = position_of(3, places)
    assert places_of(position) == places
    assert position.mark == Mark("api", 3)


@pytest.mark.parametrize("position", [None, Position(Mark("0123456789ab", 77), (("stdout", Mark("x", 1)),))])
def test_a_position_in_files_is_no_place(position: Position | None) -> None:
    assert places_of(position) == {}


STEPS = [
    piece(b"a\n", 1),
    piece(b"b\n", 1),
    piece(FULL, 2, "stderr"),
    piece(b"c\n", 3),
    piece(FULL, 4),
    piece(b"end\n", 2, "stderr"),
    piece(b"\n", 4),
    piece(b"a\n", 5, "stderr"),
    piece(b"a\n", 5),
    piece(FULL, 6),
    piece(FULL, 6),
    piece(b"tail", 6),
    piece(b"z\n", 6),
]


@given(st.lists(st.integers(0, len(STEPS)), max_size=4))
def test_after_a_restart_no_line_is_missing_and_none_comes_again(stops: list[int]) -> None:
    whole = take(Lines(SHORT, None), *STEPS)
    position: Position | None = None
    found: list[tuple[str, str]] = []
    for stop in [*stops, len(STEPS)]:
        lines = Lines(SHORT, position)
        asked = position.mark.offset if position else 0
        # As Engine 20.10 does it: by the time of each piece. What was kept covers what was returned.
        there = [each for each in STEPS[:stop] if Nanos().of(each.time) >= asked]
        found += take(lines, *there)
        assert lines.missed == 0
        position = lines.position()
    assert sorted(found) == sorted(whole)


def test_what_a_transform_holds_back_is_read_again() -> None:
    before = Lines(SHORT, None)
    found = take(before, piece(b"a\n", 1), piece(b"b\n", 1), piece(b"c\n", 2), piece(b"e\n", 3, "stderr"))
    held = mark_of(found[1][0])
    assert held == Mark("api-o1", BASE + 1)
    after = Lines(SHORT, before.position([("stdout", held)]))
    assert before.position([("stdout", held)]).mark.offset == BASE + 1
    pieces = [piece(b"a\n", 1), piece(b"b\n", 1), piece(b"c\n", 2), piece(b"e\n", 3, "stderr")]
    assert [text for _, text in take(after, *pieces)] == ["b", "c"]


def test_a_restart_that_does_not_find_its_last_line_says_so() -> None:
    before = Lines(SHORT, None)
    take(before, piece(b"a\n", 1), piece(b"b\n", 2))
    after = Lines(SHORT, before.position())
    assert take(after, piece(b"d\n", 4))[0][1] == "d"
    assert after.missed == 1


def test_a_clock_that_was_set_back_costs_no_line() -> None:
    before = Lines(SHORT, None)
    take(before, piece(b"a\n", 8), piece(b"b\n", 9))
    after = Lines(SHORT, before.position())
    found = take(after, piece(b"a\n", 8), piece(b"b\n", 9), piece(b"c\n", 3), piece(b"d\n", 4))
    assert [text for _, text in found] == ["c", "d"]


@pytest.mark.parametrize("overlap", [0, OVERLAP_NS])
@given(stops=st.lists(st.integers(0, len(STEPS)), max_size=5))
def test_a_new_connection_brings_each_piece_once(overlap: int, stops: list[int]) -> None:
    received = Received(0)
    found: list[Piece] = []
    for stop in [*stops, len(STEPS)]:
        since = received.begin() + OVERLAP_NS - overlap
        there = [each for each in STEPS[:stop] if Nanos().of(each.time) >= since]
        found += [each for each, _ in received.fresh(there)]
    assert found == STEPS
    assert received.missed == 0 or not overlap


def test_a_new_connection_without_the_last_piece_is_a_gap() -> None:
    received = Received(0)
    received.begin()
    received.fresh([piece(b"a\n", 1)])
    assert received.begin() == max(0, BASE + 1 - OVERLAP_NS)
    assert [each.data for each, _ in received.fresh([piece(b"c\n", 3)])] == [b"c\n"]
    assert received.missed == 1


@dataclass
class Kept:
    """What outlives a kill."""

    position: Position | None = None
    reserved: Mark | None = None
    at_reserve: Callable[[], None] = lambda: None

    def keep(self, position: Position) -> None:
        self.position = position

    def reserve(self, mark: Mark) -> None:
        self.at_reserve()
        self.reserved = mark


@dataclass
class World:
    """A container on a fake Engine, and lives of a follower of its log."""

    engine: FakeEngine
    client: EngineClient
    id: str
    kept: Kept = field(default_factory=Kept)
    batches: list[Batch] = field(default_factory=list)

    def container(self) -> Container:
        return container_from_inspect(self.engine.inspect(self.id))

    def follower(self, *, from_now: bool = False) -> ApiFollower:
        container = self.container()

        def open_stream(since_ns: int) -> LogStream:
            return self.client.logs(self.id, tty=container.tty, since_ns=since_ns)

        return ApiFollower(container, open_stream, self.kept, from_now=from_now)

    def texts(self) -> list[str]:
        return [event.log for batch in self.batches for event in batch.events]

    def read(self, follower: ApiFollower, *, settle: bool = True) -> None:
        while (batch := follower.read()) is not None:
            self.batches.append(batch)
            if settle:
                follower.settled(batch)

    def read_until(self, follower: ApiFollower, count: int, *, settle: bool = True) -> list[str]:
        def enough() -> bool:
            self.read(follower, settle=settle)
            return len(self.texts()) >= count

        until(enough)
        return self.texts()


@pytest.fixture
def world() -> Iterator[World]:
    with FakeEngine() as engine:
        client = EngineClient(Endpoint(engine.url, "test"))
        id_ = engine.add_container("web", host_config={"LogConfig": {"Type": "journald", "Config": {}}})
        yield World(engine, client, id_)
        client.close()


def test_lines_are_read_as_they_come_and_to_the_end(world: World) -> None:
    world.engine.write("web", "one\n")
    with closing(world.follower()) as follower:
        world.read_until(follower, 1)
        world.engine.write("web", "two\n", "stderr")
        world.engine.write("web", FULL)
        assert world.read_until(follower, 2) == ["one", "two"]
        assert not follower.drained()
        world.engine.remove("web")
        follower.gone()
        assert world.read_until(follower, 3)[2] == FULL.decode()
        until(follower.drained)
        assert follower.losses.gaps == 0


def test_after_a_kill_what_was_not_settled_comes_again_with_the_same_id(world: World) -> None:
    for number in range(10):
        world.engine.write("web", f"{number}\n", time_ns=BASE + number // 2)
    with closing(world.follower()) as follower:
        world.read_until(follower, 10, settle=False)
        half = next(batch for batch in world.batches)
        follower.settled(half)
    first = {event.id: event.log for batch in world.batches for event in batch.events}
    done = [event.log for event in half.events]
    world.batches.clear()
    world.engine.write("web", "new\n")
    with closing(world.follower()) as follower:
        wanted = [str(number) for number in range(len(done), 10)] + ["new"]
        assert world.read_until(follower, len(wanted)) == wanted
    again = {event.id: event.log for batch in world.batches for event in batch.events if event.log != "new"}
    assert again.items() <= first.items()
    assert all(batch.again for batch in world.batches if "new" not in [event.log for event in batch.events])


def test_now_is_remembered_although_nothing_was_said_yet(world: World) -> None:
    world.engine.write("web", "before\n", time_ns=BASE)
    with closing(world.follower(from_now=True)):
        pass
    world.engine.write("web", "between\n")
    with closing(world.follower(from_now=True)) as follower:
        assert world.read_until(follower, 1) == ["between"]


def test_a_position_in_files_means_all_once_more_and_is_counted(world: World) -> None:
    world.kept.position = Position(Mark("0123456789ab", 100))
    world.engine.write("web", "one\n")
    with closing(world.follower(from_now=True)) as follower:
        assert world.read_until(follower, 1) == ["one"]
        assert follower.losses.gaps == 1


@pytest.mark.parametrize("how", ["restart of the Engine", "reset", "reconnect"])
def test_a_broken_stream_is_opened_again_where_it_ended(world: World, how: str) -> None:
    world.engine.write("web", "one\n")
    if how == "reset":
        world.engine.add_fault(Fault("GET /containers/*/logs", "reset-body", after=70, times=1))
    with closing(world.follower()) as follower:
        world.read_until(follower, 1)
        if how == "restart of the Engine":
            world.engine.restart_engine()
            world.client.negotiate()
        elif how == "reconnect":
            follower.reconnect()
        world.engine.write("web", "two\n")
        world.engine.write("web", "three\n")
        assert world.read_until(follower, 3) == ["one", "two", "three"]


def test_a_container_that_is_started_again_is_read_on(world: World) -> None:
    with closing(world.follower()) as follower:
        world.engine.write("web", "one\n")
        world.engine.die("web", 1)
        follower.container = world.container()
        world.read_until(follower, 1)
        world.engine.core.lifecycle.start(world.engine.core.store.container("web"))
        world.engine.write("web", "two\n")
        follower.container = world.container()
        assert world.read_until(follower, 2) == ["one", "two"]


def test_a_resting_container_is_not_asked_all_the_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "RECONNECT_FIRST_SECONDS", 0.01)
    world.engine.write("web", "one\n")
    world.engine.die("web", 0)
    with closing(world.follower()) as follower:
        world.read_until(follower, 1)
        call = f"GET /containers/{world.id}/logs"
        before = world.engine.requests()[call]
        with pytest.raises(AssertionError):
            until(lambda: world.engine.requests()[call] > before, seconds=0.3)


def test_a_driver_that_cannot_be_read_is_asked_once_and_named_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "RECONNECT_FIRST_SECONDS", 0.01)
    with FakeEngine() as engine, closing(EngineClient(Endpoint(engine.url, "test"))) as client:
        id_ = engine.add_container("mute", host_config={"LogConfig": {"Type": "none", "Config": {}}})
        with closing(World(engine, client, id_).follower()) as follower:
            until(lambda: follower.error)
            with pytest.raises(AssertionError):
                until(lambda: engine.requests()[f"GET /containers/{id_}/logs"] > 1, seconds=0.3)
            assert follower.read() is None
            assert "does not support reading" in follower.error
    assert len([each for each in caplog.records if "cannot be read" in each.message]) == 1


def test_a_reader_that_waits_costs_bounded_memory_and_no_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "BUFFER_BYTES", 4000)
    monkeypatch.setattr(pump, "LAG_SECONDS", 0.05)
    for number in range(1000):
        world.engine.write("web", f"{number:099d}\n")
    with closing(world.follower()) as follower:
        until(
            lambda: world.engine.requests()[f"GET /containers/{world.id}/logs"] and follower.behind() >= 4000
        )
        with pytest.raises(AssertionError):
            until(lambda: follower.behind() > 5000, seconds=0.3)
        assert world.read_until(follower, 1000) == [f"{number:099d}" for number in range(1000)]
        assert follower.losses.gaps == 0


def test_lines_wait_until_it_is_written_down_that_they_may_be_sent(world: World) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    world.kept.at_reserve = full
    world.engine.write("web", "one\n")
    with closing(world.follower()) as follower:
        until(follower.behind)
        for _ in range(2):
            with pytest.raises(OSError, match="space"):
                follower.read()
        world.kept.at_reserve = lambda: None
        assert world.read_until(follower, 1) == ["one"]
