from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.tracing import wire


@given(st.integers(0, 2**64 - 1), st.integers(1, 1000))
def test_a_number_comes_back(value: int, field: int) -> None:
    expected = {field: value} if value else {}
    assert wire.members(wire.number(field, value)) == expected


@given(st.dictionaries(st.integers(1, 100), st.binary(max_size=300), max_size=5))
def test_bytes_come_back(values: dict[int, bytes]) -> None:
    assert wire.members(b"".join(wire.data(field, value) for field, value in values.items())) == values


def test_numbers_of_fixed_size_are_stepped_over() -> None:
    message = wire.fixed64(1, 7) + wire.fixed32(2, 8) + wire.text(3, "x")
    assert wire.members(message)[3] == b"x"


@given(st.binary(max_size=60))
def test_garbage_is_read_or_refused(message: bytes) -> None:
    with suppress(ValueError):
        wire.members(message)


@pytest.mark.parametrize("message", [b"\x08", b"\x0a\x05ab", b"\x0b", b"\x08" + b"\xff" * 11])
def test_what_is_cut_off_or_of_no_known_type_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        wire.members(message)
