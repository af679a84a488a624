from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.dockerd.logstream import ENGINE, PIECE_BYTES, Frames, Piece, Terminal
from compose_agent.errors import EngineGarbage

T1, T2 = "2026-01-02T03:04:05.000000001Z", "2026-01-02T03:04:05.000000002Z"
FULL = b"x" * PIECE_BYTES


def sent(time: str, data: bytes) -> bytes:
    return time.encode() + b" " + data


def frame(stream: int, data: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


FRAMED = [(1, T1, b"one\n"), (2, T1, FULL), (2, T1, b""), (1, T2, b"\xff\0\n"), (2, T2, b"tail")]
STREAMS = {1: "stdout", 2: "stderr"}


@given(st.lists(st.integers(1, 400), max_size=60))
def test_frames_are_cut_wherever_chunks_end(sizes: list[int]) -> None:
    whole = b"".join(frame(stream, sent(time, data)) for stream, time, data in FRAMED)
    cutter, found = Frames(), []
    for size in sizes:
        found += cutter.cut(whole[:size])
        whole = whole[size:]
    found += cutter.cut(whole)
    assert found == [Piece(STREAMS[stream], time, data) for stream, time, data in FRAMED]
    assert cutter.rest() == []


def test_what_the_engine_says_itself_is_told_apart() -> None:
    error = b"Error grabbing logs: invalid character\n"
    found = Frames().cut(frame(3, error) + frame(1, b"no time\n") + frame(1, sent(T1, b"a\n")))
    assert found == [Piece(ENGINE, "", error), Piece(ENGINE, "", b"no time\n"), Piece("stdout", T1, b"a\n")]


@pytest.mark.parametrize("junk", [b"HTTP/1.1 200 OK", b"\x01\0\0\0\xff\xff\xff\xff", b"\x09\0\0\0\0\0\0\1a"])
def test_what_is_no_frame_is_an_error(junk: bytes) -> None:
    with pytest.raises(EngineGarbage, match="no frame"):
        Frames().cut(junk)


def cut(*chunks: bytes) -> list[tuple[str, bytes]]:
    cutter = Terminal()
    found = [piece for chunk in chunks for piece in cutter.cut(chunk)] + cutter.rest()
    assert all(piece.stream == "stdout" for piece in found)
    return [(piece.time, piece.data) for piece in found]


def test_lines_of_a_terminal_are_cut_wherever_chunks_end() -> None:
    whole = sent(T1, b"one\r\n") + sent(T1, FULL) + sent(T1, b"\r\n") + sent(T2, b"two\r\n")
    wanted = [(T1, b"one\r\n"), (T1, FULL), (T1, b"\r\n"), (T2, b"two\r\n")]
    assert cut(whole) == wanted
    assert cut(*(whole[at : at + 1000] for at in range(0, len(whole), 1000))) == wanted


@pytest.mark.parametrize("text", [f"{T2} is part of it\r\n", f"in {T2} the middle\r\n"])
def test_a_time_that_a_program_writes_begins_nothing(text: str) -> None:
    assert cut(sent(T1, text.encode()), sent(T2, b"next\r\n")) == [(T1, text.encode()), (T2, b"next\r\n")]


def test_a_piece_without_a_newline_ends_where_the_next_chunk_begins_with_a_time() -> None:
    # Engine 20.10 with the driver local, and whatever ended without a newline.
    chunks = [sent(T1, FULL), sent(T1, b"end\r"), sent(T2, b"prompt$ "), sent(T2, b"x\r\n")]
    assert cut(*chunks) == [(T1, FULL), (T1, b"end\r"), (T2, b"prompt$ "), (T2, b"x\r\n")]


def test_a_long_line_that_was_spoilt_is_not_cut_by_its_length() -> None:
    spoilt = "\ufffd".encode() * 8000 + b"\r\n"
    assert cut(sent(T1, spoilt)) == [(T1, spoilt)]
