from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_forwarder.event import Event, Mark
from log_forwarder.sources import pieces
from log_forwarder.sources.pieces import PIECE_BYTES, Joiner
from tests.log_forwarder.making import moment

FULL = "x" * PIECE_BYTES


def event(log: str, number: int, stream: str = "stdout") -> Event:
    return Event(log, stream, moment(number))


def join(joiner: Joiner, *events: Event, first: int = 0) -> list[Event]:
    """Join records that stand 100 bytes apart."""
    starts = [first + 100 * at for at in range(len(events))]
    return joiner.join(events, starts, "gen", "short.gen.")


def texts(lines: list[Event]) -> list[str]:
    return [line.log for line in lines]


def test_whole_lines_pass_without_their_newline_and_with_an_id() -> None:
    lines = join(Joiner(), event("a\n", 1), event("\n", 2, "stderr"), event("b\n\n", 3))
    assert [(line.log, line.stream, line.time, line.id) for line in lines] == [
        ("a", "stdout", moment(1), "short.gen.0000000000"),
        ("", "stderr", moment(2), "short.gen.0000000064"),
        ("b\n", "stdout", moment(3), "short.gen.00000000c8"),
    ]


@pytest.mark.parametrize("whole", [1, 2, 5])
def test_a_line_of_whole_pieces_ends_with_a_bare_newline(whole: int) -> None:
    joiner = Joiner()
    assert join(joiner, *(event(FULL, 1) for _ in range(whole))) == []
    assert joiner.held() == (("stdout", Mark("gen", 0)),)
    (line,) = join(joiner, event("\n", 1), first=9000)
    assert (line.log, line.id, line.time) == (FULL * whole, "short.gen.0000000000", moment(1))
    assert joiner.held() == ()


def test_a_newline_before_the_last_one_belongs_to_the_line() -> None:
    (line,) = join(Joiner(), event(FULL, 1), event("\n\n", 1))
    assert line.log == FULL + "\n"


def test_lines_of_two_streams_are_joined_each_on_its_own() -> None:
    lines = join(
        Joiner(),
        event("o" * PIECE_BYTES, 1),
        event("e" * PIECE_BYTES, 2, "stderr"),
        event("tail-o\n", 1),
        event("tail-e\n", 2, "stderr"),
    )
    assert [(line.stream, line.log[-6:], len(line.log)) for line in lines] == [
        ("stdout", "tail-o", PIECE_BYTES + 6),
        ("stderr", "tail-e", PIECE_BYTES + 6),
    ]


def test_another_time_begins_another_line() -> None:
    joiner = Joiner()
    lines = join(joiner, event(FULL, 1), event("next\n", 2))
    assert texts(lines) == [FULL, "next"]
    assert [line.id[-2:] for line in lines] == ["00", "64"]
    assert joiner.held() == ()


def test_another_time_with_an_open_piece_begins_another_open_line() -> None:
    joiner = Joiner()
    assert texts(join(joiner, event(FULL, 1), event("y" * PIECE_BYTES, 2))) == [FULL]
    assert joiner.held() == (("stdout", Mark("gen", 100)),)


def test_a_short_piece_without_a_newline_is_the_last_thing_its_stream_said() -> None:
    joiner = Joiner()
    assert texts(join(joiner, event("bye", 1))) == ["bye"]
    assert texts(join(joiner, event(FULL, 2), event("bye", 2))) == [FULL + "bye"]
    assert joiner.held() == ()


@pytest.mark.parametrize("character", ["é", "€", "😀"])
def test_a_character_that_docker_cut_in_two_does_not_end_the_line(character: str) -> None:
    whole = ("x" + character * PIECE_BYTES).encode()
    pieces = [whole[at : at + PIECE_BYTES] for at in range(0, len(whole), PIECE_BYTES)]
    # dockerd writes each byte that is no character by itself as U+FFFD.
    seen = [piece.decode("utf-8", "replace") for piece in pieces]
    *first, last = (event(text, 1) for text in seen)
    last.log += "\n"
    (line,) = join(Joiner(), *first, last)
    assert line.log == "".join(seen)


def test_a_line_beyond_the_limit_is_shipped_in_several_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_LINE_CHARACTERS", 2 * PIECE_BYTES)
    lines = join(Joiner(), *(event(FULL, 1) for _ in range(4)), event("end\n", 1))
    assert [len(line.log) for line in lines] == [3 * PIECE_BYTES, PIECE_BYTES + 3]
    assert len({line.id for line in lines}) == 2


def test_what_is_left_is_given_oldest_first_and_once() -> None:
    joiner = Joiner()
    join(joiner, event(FULL, 2), event(FULL, 1, "stderr"))
    assert [line.stream for line in joiner.flush()] == ["stderr", "stdout"]
    assert joiner.flush() == []
    assert joiner.held() == ()


def test_attributes_of_the_first_piece_stay() -> None:
    first = Event(FULL, "stdout", moment(1), {"tag": "a"})
    (line,) = join(Joiner(), first, event("\n", 1))
    assert line.attrs == {"tag": "a"}


@dataclass
class Copier:
    """One stream of dockerd's copier: cuts what a process writes into records."""

    stream: str
    records: list[Event] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def write(self, text: str, number: int, *, ends: bool) -> None:
        cut = [text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES)]
        if ends and (not cut or len(cut[-1]) == PIECE_BYTES):
            cut.append("")
        if not ends and not text:
            return
        if ends:
            cut[-1] += "\n"
        self.records += [event(piece, number, self.stream) for piece in cut]
        self.written.append(text)


_LENGTHS = st.sampled_from([0, 1, 100, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
_LINES = st.lists(
    st.tuples(st.sampled_from(["stdout", "stderr"]), _LENGTHS, st.sampled_from([True, True, True, False])),
    max_size=12,
)


@settings(max_examples=100)
@given(lines=_LINES, seed=st.integers(0, 1000), step=st.integers(1, 5))
def test_lines_of_both_streams_come_back_whole_whatever_their_pieces_do(
    lines: list[tuple[str, int, bool]], seed: int, step: int
) -> None:
    copiers = {stream: Copier(stream) for stream in ("stdout", "stderr")}
    for number, (stream, length, ends) in enumerate(lines, start=1):
        copiers[stream].write(chr(97 + number) * length, number, ends=ends)
    dice = random.Random(seed)  # noqa: S311 - a schedule
    queues = {stream: list(copier.records) for stream, copier in copiers.items()}
    mixed: list[Event] = []
    while any(queues.values()):
        mixed.append(queues[dice.choice([stream for stream, queue in queues.items() if queue])].pop(0))
    ids = [run(mixed, size) for size in (step, len(mixed) or 1)]
    assert ids[0] == ids[1], "ids and texts do not depend on where blocks end"
    for stream, copier in copiers.items():
        assert [text for of, text, _ in ids[0] if of == stream] == copier.written


def run(records: list[Event], step: int) -> list[tuple[str, str, str]]:
    copies = [Event(each.log, each.stream, each.time) for each in records]
    joiner = Joiner()
    lines: list[Event] = []
    for at in range(0, len(copies), step):
        lines += join(joiner, *copies[at : at + step], first=100 * at)
    lines += joiner.flush()
    return [(line.stream, line.log, line.id) for line in lines]
