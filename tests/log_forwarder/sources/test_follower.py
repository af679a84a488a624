from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compose_agent.errors import ComposeAgentError, StateError
from log_forwarder.event import Event
from log_forwarder.sources import follower as follower_module
from log_forwarder.sources.cursor import Losses
from log_forwarder.sources.pieces import PIECE_BYTES, Joiner
from log_forwarder.store import GenerationNames
from tests.log_forwarder.making import packed
from tests.log_forwarder.sources.world import World

FULL = "x" * PIECE_BYTES
# Above one record, and far below the real one, so that a few lines fill several.
SMALL_BLOCK = 24 * 1024


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


def test_lines_come_with_ids_that_name_container_generation_and_place(world: World) -> None:
    world.log.line("a")
    world.log.line("b", "stderr")
    world.start()
    batch = world.follower.read()
    assert batch is not None
    first, second = batch.events
    name = world.chain.generations[0].name
    assert (first.id, first.log, first.stream) == (f"0123456789ab.{name}.0000000000", "a", "stdout")
    assert int(second.id.rpartition(".")[2], 16) == len(packed("a\n", 1))
    assert batch.size == world.log.path.stat().st_size
    assert world.follower.read() is None


def test_a_position_is_kept_when_all_before_it_is_settled(world: World) -> None:
    world.start()
    for text in "abc":
        world.log.line(text)
        world.chain.look()
        assert world.read()
    world.settle(2)
    world.settle(1)
    assert not world.kept
    assert world.follower.unsettled() == 3
    world.settle(0)
    assert world.kept
    assert world.kept.mark.offset == world.log.path.stat().st_size
    assert world.follower.unsettled() == 0


def test_what_is_on_its_way_has_an_age(world: World) -> None:
    world.start()
    assert world.follower.oldest_age(1e9) == 0
    world.log.line("a")
    world.read()
    assert world.follower.oldest_age(world.waiting[0].read_at + 5) == pytest.approx(5)


def test_a_second_run_goes_on_where_the_first_one_ended(world: World) -> None:
    world.log.line("a")
    world.start()
    world.drain()
    world.kill()
    world.log.line("b")
    world.log.rotate()
    world.log.line("c")
    world.start()
    world.drain()
    assert world.runs[1] != []
    assert world.texts() == ["a", "b", "c"]


def test_what_may_have_been_sent_before_says_so_and_what_is_new_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("log_forwarder.sources.follower.RESERVE_BYTES", 0)
    world.log.line("old")
    world.start()
    assert_marked(world, again=False)
    world.kill()
    world.start()
    assert_marked(world, again=True)
    world.log.line("new")
    assert_marked(world, again=False)


def test_what_is_marked_as_sent_stays_so_while_it_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("log_forwarder.sources.follower.RESERVE_BYTES", 0)
    monkeypatch.setattr("log_forwarder.sources.follower.BLOCK_BYTES", 300)
    for number in range(20):
        world.log.line(f"line {number}")
    world.start()
    while world.read():
        pass
    marked = world.reserved
    for _ in range(2):
        world.kill()
        world.start()
        assert_marked(world, again=True)
        assert world.reserved == marked


def assert_marked(world: World, *, again: bool) -> None:
    batch = world.follower.read()
    assert batch is not None
    assert batch.again is again


@pytest.mark.parametrize("compressed", [False, True])
def test_a_line_that_is_open_at_a_kill_is_whole_in_the_next_run(tmp_path: Path, compressed: bool) -> None:
    world = World(tmp_path, compressed=compressed)
    world.start()
    world.log.piece(FULL)
    world.log.piece("e" * PIECE_BYTES, "stderr")
    world.log.line("end of err", "stderr")
    world.log.piece("E" * PIECE_BYTES, "stderr")
    world.drain()
    assert world.kept is not None
    assert [stream for stream, _ in world.kept.held] == ["stdout", "stderr"]
    world.kill()
    world.log.rotate(finish=False)
    world.log.line("end of out")
    world.log.line("another end of err", "stderr")
    world.start()
    assert world.follower.needs().generation == world.kept.held[0][1].generation
    world.drain()
    assert world.runs[1] == [
        (world.runs[1][0][0], "stdout", FULL + "end of out"),
        (world.runs[1][1][0], "stderr", "E" * PIECE_BYTES + "another end of err"),
    ]
    world.store.close()


def test_a_new_container_can_begin_at_its_end(world: World) -> None:
    world.log.line("old")
    world.start(from_now=True)
    world.log.line("new")
    world.drain()
    assert world.texts() == ["new"]


def test_where_now_was_is_kept_at_once(world: World) -> None:
    world.log.line("old")
    world.start(from_now=True)
    world.kill()
    world.log.line("while it was down")
    world.start(from_now=True)
    world.drain()
    assert world.texts() == ["while it was down"]


@pytest.mark.parametrize(
    "exists",
    [
        True,
        False,
    ],
)
def test_where_now_was_is_kept_for_a_container_that_has_said_nothing_yet(
    tmp_path: Path, exists: bool
) -> None:
    world = World(tmp_path)
    if not exists:
        world.log.path.unlink()
    world.start(from_now=True)
    world.drain()
    world.kill()
    world.log.line("while it was down")
    world.start(from_now=True)
    world.drain()
    world.store.close()
    assert world.texts() == ["while it was down"]


def test_a_position_is_not_forgotten_when_the_log_cannot_be_opened_at_first(world: World) -> None:
    world.log.line("a")
    world.start()
    world.drain()
    world.kill()
    hidden = world.log.path.with_name("hidden")
    world.log.path.rename(hidden)
    world.start()
    hidden.rename(world.log.path)
    world.log.line("b")
    world.drain()
    assert world.texts() == ["a", "b"]


def test_a_file_that_is_shorter_than_the_position_loses_no_new_line(world: World) -> None:
    """A power failure takes the end of a log; the position behind it may have survived."""
    world.log.line("a")
    size = world.log.path.stat().st_size
    world.log.line("b" * 200)
    world.start()
    world.drain()
    world.kill()
    world.log.truncate(size)
    world.start()
    for text in ("c", "d", "e"):
        world.log.line(text)
    world.drain()
    assert world.texts()[-3:] == ["c", "d", "e"]
    assert world.follower.losses.gaps == 1


def test_files_that_are_gone_with_unread_lines_are_a_gap(tmp_path: Path) -> None:
    world = World(tmp_path, max_file=2)
    world.log.line("a")
    world.start()
    world.drain()
    world.kill()
    for text in "bcd":
        world.log.rotate()
        world.log.line(text)
    world.start()
    world.drain()
    assert world.texts() == ["a", "c", "d"]
    assert world.follower.losses.gaps == 1
    world.store.close()


def test_the_rest_of_a_line_whose_beginning_is_gone_is_shipped_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path, max_file=2)
    world.start()
    world.log.piece(FULL)
    world.log.line("other", "stderr")
    world.log.rotate()
    world.log.line("more", "stderr")
    world.drain()
    world.kill()
    world.log.rotate()
    world.log.line("end")
    world.start()
    world.drain()
    assert world.texts() == ["other", "more", "end"]
    assert world.follower.losses.gaps == 1
    world.store.close()


def test_truncation_costs_what_was_unread_and_is_counted(world: World) -> None:
    world.log.line("read")
    world.start()
    world.drain()
    world.log.line("unread" * 10)
    world.chain.look()
    unread = len(packed("unread" * 10 + "\n", 2))
    world.log.truncate()
    world.log.line("new")
    world.drain()
    assert world.texts() == ["read", "new"]
    assert (world.follower.losses.gaps, world.follower.losses.gap_bytes) == (1, unread)


def test_truncation_of_what_was_read_is_no_gap(world: World) -> None:
    world.log.line("read" * 10)
    world.start()
    world.drain()
    world.log.truncate()
    world.log.line("new")
    world.drain()
    assert world.texts() == ["read" * 10, "new"]
    assert world.follower.losses.gaps == 0


def test_a_file_that_is_cut_in_part_and_rotated_is_read_to_its_end_once(world: World) -> None:
    world.log.line("first")
    size = world.log.path.stat().st_size
    world.log.line("second")
    world.start()
    world.drain()
    world.log.truncate(size)
    world.chain.look()
    world.log.line("third")
    world.log.rotate()
    world.log.line("fourth")
    world.chain.look()
    for _ in range(20):
        world.read()
    assert world.runs[0][-1][2] == "fourth"


def test_damage_is_counted_and_the_rest_is_read(world: World) -> None:
    world.log.line("a")
    world.log.append(b"\0" * 1024 * 1024)
    world.log.line("b")
    world.log.append(b'{"log":"torn')
    world.log.line("c")
    world.log.append(b"\n\n")
    world.log.line("d")
    world.start()
    world.drain()
    assert world.texts() == ["a", "b", "c", "d"]
    # Four blocks of nothing, what was left of them in front of b, the torn record, two empty lines.
    assert 4 <= world.follower.losses.corrupt <= 8


def test_a_record_that_is_still_being_written_is_awaited(world: World) -> None:
    record = packed("a\n", 1)
    world.log.append(record[:20])
    world.start()
    assert not world.read()
    world.log.append(record[20:])
    assert world.read()
    assert world.follower.losses.corrupt == 0


def test_a_record_torn_at_the_end_of_a_rotated_file_is_counted_and_left(world: World) -> None:
    world.log.line("a")
    world.log.append(b'{"log":"torn')
    world.log.rotate()
    world.log.line("b")
    world.start()
    world.drain()
    assert world.texts() == ["a", "b"]
    assert world.follower.losses.corrupt == 1


def test_a_damaged_compressed_file_is_a_gap_and_not_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, compressed=True)
    world.log.line("lost")
    world.log.rotate()
    world.log.line("kept")
    packed_file = world.log.path.with_name(world.log.path.name + ".1.gz")
    packed_file.write_bytes(packed_file.read_bytes()[:-12])
    world.start()
    for _ in range(5):
        try:
            world.drain()
        except OSError:
            continue
    world.store.close()
    assert "kept" in world.texts()


def test_the_last_lines_of_a_removed_container_come_also_without_an_end(world: World) -> None:
    world.start()
    world.log.line("a")
    world.log.piece(FULL)
    world.drain()
    world.remove()
    assert world.texts() == ["a", FULL]
    assert world.follower.drained()


@pytest.mark.parametrize("before", [[], ["a"]])
def test_a_removed_container_is_not_read_to_its_end_before_its_last_lines_are(
    tmp_path: Path, before: list[str]
) -> None:
    world = World(tmp_path)
    for text in before:
        world.log.line(text)
    world.start()
    world.drain()
    world.log.line("last words")
    world.log.remove()
    world.chain.gone()
    world.store.close()
    assert not world.follower.drained()


def test_a_removed_container_is_not_read_to_its_end_before_its_open_line_is(world: World) -> None:
    world.start()
    world.log.piece(FULL)
    world.drain()
    world.log.remove()
    world.chain.gone()
    assert not world.follower.drained()


def test_what_is_behind_is_counted_in_bytes_over_all_files(world: World) -> None:
    for text in "ab":
        world.log.line(text)
        world.log.rotate()
    world.start()
    assert world.follower.behind() == 2 * len(packed("a\n", 1))
    world.drain()
    assert world.follower.behind() == 0


class FullDisk(GenerationNames):
    """Names that cannot be written down."""

    def name(self, *_args: object, **_kwargs: object) -> str:
        raise StateError("the disk is full")


def test_a_confirmation_is_taken_also_while_new_names_cannot_be_written(world: World) -> None:
    world.log.line("a")
    world.start()
    world.read()
    world.log.rotate()
    world.log.line("b")
    world.chain.look()
    world.chain._names = FullDisk(world.store, "x", [])
    try:
        world.settle()
    except ComposeAgentError:
        pytest.fail("the courier's thread would end here")


def test_a_reader_that_is_closed_has_nothing_more(world: World) -> None:
    world.log.line("a")
    world.start()
    world.kill()
    assert world.follower.read() is None


_STEPS = st.lists(
    st.sampled_from(
        [
            "line",
            "line",
            "line",
            "err",
            "long",
            "piece",
            "piece",
            "crash",
            "rotate",
            "rotate",
            "finish",
            "look",
            "look",
            "read",
            "read",
            "settle",
            "settle",
            "kill",
            "start",
        ]
    ),
    max_size=60,
)


@pytest.mark.parametrize("compressed", [False, True])
@settings(max_examples=150)
@given(steps=_STEPS, seed=st.integers(0, 10**6))
@example(steps=["line", "rotate", "read", "kill", "line", "rotate"], seed=0)
@example(steps=["line", "rotate", "line", "rotate", "kill", "line", "start", "rotate"], seed=0)
def test_every_line_arrives_whatever_is_rotated_and_killed(
    tmp_path_factory: pytest.TempPathFactory, compressed: bool, steps: list[str], seed: int
) -> None:
    world = World(tmp_path_factory.mktemp("world"), compressed=compressed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follower_module, "BLOCK_BYTES", SMALL_BLOCK)
        play(world, steps, random.Random(seed))  # noqa: S311 - a schedule
    world.store.close()
    check(world)


def play(world: World, steps: list[str], dice: random.Random) -> None:
    """Play the steps; between "kill" and "start" only Docker works."""
    world.start()
    up = True
    for number, step in enumerate(steps):
        if step == "kill" and up:
            world.kill()
            up = False
        elif step == "start" and not up:
            world.start()
            up = True
        elif not docker_does(world, step, number, dice, up=up) and up:
            forwarder_does(world, step, dice)
    if not up:
        world.start()
    world.chain.look()
    world.remove()
    assert world.follower.drained()
    world.kill()


def docker_does(world: World, step: str, number: int, dice: random.Random, *, up: bool) -> bool:
    log = world.log
    match step:
        case "line":
            log.line(f"{number}")
        case "err":
            log.line(f"{number}", "stderr")
        case "long":
            log.line(f"{number:09}." * dice.choice([1000, 2000, 4096]), dice.choice(["stdout", "stderr"]))
        case "piece":
            log.piece(f"{number:08}" * 2048, dice.choice(["stdout", "stderr"]))
        case "crash":
            log.crash()
        case "finish":
            log.compress()
            log.finish()
        case "rotate" if log.path.stat().st_size:
            if up:
                world.chain.look()
                for each in world.chain.generations:
                    world.chain.identify(each)
            log.rotate(finish=dice.random() < 0.5)
        case _:
            return False
    return True


def forwarder_does(world: World, step: str, dice: random.Random) -> None:
    match step:
        case "look":
            world.chain.look()
        case "read":
            world.read()
        case "settle":
            world.settle_any(dice)


def check(world: World) -> None:
    texts: dict[str, str] = {}
    for run in world.runs:
        for stream in ("stdout", "stderr"):
            order = [text for _, of, text in run if of == stream]
            expected = [text for of, text in world.log.lines if of == stream]
            places = [expected.index(text) for text in order]
            assert places == sorted(places), "order within a stream"
        ids = [id_ for id_, _, _ in run]
        assert len(set(ids)) == len(ids), "twice in one run"
        for id_, _, text in run:
            assert texts.setdefault(id_, text) == text, "one id, one text"
    assert sorted(texts.values()) == sorted(text for _, text in world.log.lines)
    assert world.follower.losses == Losses()


def test_the_beginning_of_a_line_that_does_not_go_on_is_shipped_and_settled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start()
    world.log.piece("x" * PIECE_BYTES)
    world.log.line("other", "stderr")
    assert world.read()
    assert not world.read()
    assert world.follower.holds()
    monkeypatch.setattr(follower_module, "OPEN_LINE_SECONDS", -1.0)
    assert world.read()
    while world.waiting:
        world.settle()
    assert not world.follower.holds()
    assert world.kept
    assert world.kept.held == ()
    world.log.line("the rest")
    assert world.read()
    texts = [text for _, _, text in world.runs[-1]]
    assert texts == ["other", "x" * PIECE_BYTES, "the rest"]
    ids = [id_ for id_, _, _ in world.runs[-1]]
    assert len(set(ids)) == 3
    assert [id_.endswith("~") for id_ in ids] == [False, True, False]


def test_a_line_whose_beginning_may_be_stored_is_not_taken_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill it is read whole: then it has the id of the whole line."""
    world.start()
    world.log.piece("x" * PIECE_BYTES)
    assert not world.read()
    monkeypatch.setattr(follower_module, "OPEN_LINE_SECONDS", -1.0)
    assert world.read()
    world.kill()
    world.log.line("y")
    world.start()
    assert world.read()
    (beginning, _, _), (whole, _, text) = world.runs[0][0], world.runs[1][0]
    assert text == "x" * PIECE_BYTES + "y"
    assert beginning == f"{whole}~"


def test_what_is_being_read_does_not_count_as_drained(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither unread nor on its way: whoever asked would forget the container."""
    seen: list[bool] = []
    real = Joiner.join

    def join(joiner: Joiner, *arguments: Any) -> list[Event]:
        seen.append(world.follower.drained())
        return real(joiner, *arguments)

    monkeypatch.setattr(Joiner, "join", join)
    world.log.line("last")
    world.start()
    world.log.remove()
    world.chain.gone()
    assert world.read()
    assert seen == [False]
    assert not world.follower.drained()
    world.settle()
    assert world.follower.drained()


def test_what_is_written_right_before_the_removal_belongs_to_its_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.log.piece("x" * PIECE_BYTES)
    world.start()
    cursor = world.follower._cursor
    real, removed = cursor.block, False

    def block() -> bytes:
        nonlocal removed
        data = real()
        if not data and not removed:  # behind the read, before it is asked whether there is more
            removed = True
            world.log.line("y")
            world.log.remove()
            world.chain.gone()
        return data

    monkeypatch.setattr(cursor, "block", block)
    while not removed:
        world.read()
    world.drain()
    assert world.texts() == ["x" * PIECE_BYTES + "y"]


def test_what_was_held_back_may_be_sent_wherever_reading_has_come_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "RESERVE_BYTES", 0)
    world.log.piece("x" * PIECE_BYTES)
    world.start()
    monkeypatch.setattr(follower_module, "OPEN_LINE_SECONDS", -1.0)
    assert world.read()
    world.kill()
    monkeypatch.setattr(follower_module, "OPEN_LINE_SECONDS", 60.0)
    world.log.line("other", "stderr")
    world.start()
    assert world.read()
    world.log.line("more", "stderr")
    world.chain.look()
    assert world.read()
    monkeypatch.setattr(follower_module, "OPEN_LINE_SECONDS", -1.0)
    assert world.read()
    assert world.waiting[-1].events[0].id == world.runs[0][0][0]
    assert world.waiting[-1].again
