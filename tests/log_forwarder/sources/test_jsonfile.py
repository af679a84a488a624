from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_forwarder.sources.jsonfile import Decoded, JsonFile
from tests.log_forwarder.making import moment, packed

FORMAT = JsonFile()
ONE, TWO, THREE = (packed(f"{word}\n", number) for number, word in enumerate(("one", "two", "three"), 1))


def decode(block: bytes, offset: int = 0) -> Decoded:
    return FORMAT.decode(block, offset)


def logs(decoded: Decoded) -> list[str]:
    return [record.log for record in decoded.records]


def test_records_come_with_their_places_in_the_file() -> None:
    found = decode(ONE + TWO + THREE, 1000)
    assert logs(found) == ["one\n", "two\n", "three\n"]
    assert found.starts == [1000, 1000 + len(ONE), 1000 + len(ONE) + len(TWO)]
    assert (found.size, found.corrupt) == (len(ONE + TWO + THREE), 0)


@pytest.mark.parametrize("rest", [b"", b"{", THREE[:-1], b"\0" * 50])
def test_what_has_no_end_yet_is_left_for_later(rest: bytes) -> None:
    found = decode(ONE + rest)
    assert (logs(found), found.size, found.corrupt) == (["one\n"], len(ONE), 0)


def test_nothing_is_read_from_nothing() -> None:
    assert decode(b"", 7) == Decoded([], [], 0)


def test_attributes_and_what_docker_escapes_are_read() -> None:
    text = 'a "b" \\ \t <&>   😀 é \x01\n'
    (record,) = decode(packed(text, 1, "stderr", tag="web", env="x")).records
    assert (record.log, record.stream, record.time) == (text, "stderr", moment(1))
    assert record.attrs == {"tag": "web", "env": "x"}


@given(st.text(max_size=50))
def test_any_text_comes_back(text: str) -> None:
    (record,) = decode(packed(text + "\n", 1)).records
    assert record.log == text + "\n"


@pytest.mark.parametrize(
    ("damaged", "expected"),
    [
        pytest.param(b"\0" * 100 + ONE, ["one\n"], id="NULs in front"),
        pytest.param(ONE[:20] + TWO, ["two\n"], id="a torn record and a whole one"),
        pytest.param(ONE[:20] + b"\0" * 4096 + TWO, ["two\n"], id="torn, NULs, whole"),
        pytest.param(ONE[:-1] + TWO, ["two\n"], id="a record without its newline"),
        pytest.param(b'{"log":' * 50 + TWO, ["two\n"], id="many beginnings"),
        pytest.param(ONE[:12] + b"\0\0" + ONE[12:], [], id="NULs in the middle"),
        pytest.param(b"\0" * 4096 + b"\n", [], id="NULs alone"),
        pytest.param(b"\n", [], id="an empty line"),
        pytest.param(b"not json\n", [], id="no JSON"),
        pytest.param(b"[1]\n", [], id="a list"),
        pytest.param(b'{"log":"a\\n","stream":"stdout"}\n', [], id="without time"),
        pytest.param(b'{"log":null,"stream":"stdout","time":"t"}\n', [], id="null for a text"),
        pytest.param(
            b'{"log":"\xff\\n","stream":"stdout","time":"t"}\n',
            [],
            id="no UTF-8",
        ),
        pytest.param(b'{"log":"\\ud800\\n","stream":"stdout","time":"t"}\n', [], id="half a surrogate pair"),
    ],
)
def test_damage_costs_no_record_beside_it(damaged: bytes, expected: list[str]) -> None:
    found = decode(THREE + damaged + THREE, 10)
    assert logs(found) == ["three\n", *expected, "three\n"]
    assert (found.size, found.corrupt) == (len(THREE + damaged + THREE), 1)
    assert found.starts[-1] == 10 + len(THREE + damaged)


def test_a_text_that_looks_like_a_record_is_a_text() -> None:
    inner = ONE.decode() + '{"log":"x'
    assert logs(decode(packed(inner, 1) + b"broken\n")) == [inner]
    torn = b'{"log":"torn' + packed(inner, 2) + b"broken\n"
    assert logs(decode(torn)) == [inner]


def test_records_may_have_keys_of_later_dockers() -> None:
    record = json.dumps({"log": "a\n", "stream": "stdout", "time": moment(1), "new": {"x": [1]}}).encode()
    assert logs(decode(record + b"\n")) == ["a\n"]


def test_nesting_without_end_is_damage_like_any_other() -> None:
    assert logs(decode(ONE + b'{"x":' + b"[" * 100_000 + b"\n" + TWO)) == ["one\n", "two\n"]


@given(st.lists(st.sampled_from([ONE, TWO, THREE, b"\0\0\0", ONE[:9], b"\n", b"junk"])), st.data())
def test_nothing_depends_on_where_a_block_ends(parts: list[bytes], data: st.DataObject) -> None:
    file = b"".join(parts)
    whole = decode(file)
    first = decode(file[: data.draw(st.integers(0, len(file)))])
    second = decode(file[first.size :], first.size)
    assert [*first.starts, *second.starts] == list(whole.starts)
    assert logs(first) + logs(second) == logs(whole)
    assert first.corrupt + second.corrupt == whole.corrupt
    assert first.size + second.size == whole.size


@pytest.mark.parametrize(
    ("block", "first"),
    [(ONE + TWO, ONE[:-1]), (ONE, ONE[:-1]), (ONE[:-1], None), (b"", None), (b"\n", b"")],
)
def test_the_first_record_is_known_when_it_is_whole(block: bytes, first: bytes | None) -> None:
    assert FORMAT.first_record(block) == first
