from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent import protobuf


@given(st.integers(0, 2**64 - 1), st.integers(1, 1000))
def test_a_number_comes_back(value: int, field: int) -> None:
    expected = {field: value} if value else {}
    assert protobuf.members(protobuf.number(field, value)) == expected


@given(st.dictionaries(st.integers(1, 100), st.binary(max_size=300), max_size=5))
def test_bytes_come_back(values: dict[int, bytes]) -> None:
    assert (
        protobuf.members(b"".join(protobuf.data(field, value) for field, value in values.items())) == values
    )


def test_numbers_of_fixed_size_are_stepped_over() -> None:
    message = protobuf.fixed64(1, 7) + protobuf.fixed32(2, 8) + protobuf.text(3, "x")
    assert protobuf.members(message)[3] == b"x"


@given(st.binary(max_size=60))
def test_garbage_is_read_or_refused(message: bytes) -> None:
    with suppress(ValueError):
        protobuf.members(message)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"\x08", "ends within a number"),
        (b"\x0a", "ends within a number"),
        (b"\x0a\x05ab", "ends within a field"),
        (b"\x0d\x01", "ends within a field"),
        (b"\x0b", "no wire type 3"),
        (b"\x08" + b"\xff" * 11, "too long"),
    ],
)
def test_what_is_cut_off_or_of_no_known_type_is_refused(message: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        protobuf.members(message)
