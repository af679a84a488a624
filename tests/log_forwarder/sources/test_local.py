from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_forwarder.event import Mark, Position
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.follower import Follower
from log_forwarder.sources.jsonfile import Decoded
from log_forwarder.sources.local import Local
from log_forwarder.sources.pieces import PIECE_BYTES, Joiner
from tests.log_forwarder.making import ID, Names, container, moment
from tests.log_forwarder.sources.locallog import BASE_NS, framed, number, record, text

FORMAT = Local()
ONE, TWO, THREE = (record(word, at) for at, word in enumerate((b"one", b"two", b"three"), 1))
FULL = b"x" * PIECE_BYTES

# What Docker itself wrote.
RECORDED = [
    pytest.param(
        "000000190a067374646f757410c08ae8c7a9a49ff5181a0568656c6c6f00000019",
        ("hello\n", "stdout", "2026-11-22T22:03:09.009446208Z"),
        id="20.10, a line",
    ),
    pytest.param(
        "000000120a067374646f757410a8f1e9c7a9a49ff51800000012",
        ("\n", "stdout", "2026-11-22T22:03:09.009475752Z"),
        id="20.10, an empty line",
    ),
    pytest.param(
        "000000170a0673746465727210a7ffaba7d9a49ff5181a0365727200000017",
        ("err\n", "stderr", "2026-11-22T22:03:21.826254759Z"),
        id="28, the other stream",
    ),
    pytest.param(
        "0000005c0a067374646f757410e9fec5caa9a49ff51820012a46080112403731336563366436313162346531373664353539"
        "623339323332366466623030316332386638616133303763356438393938613764623935646666366462383918020000005c",
        ("\n", "stdout", "2026-11-22T22:03:09.015179113Z"),
        id="20.10, the empty last piece of a line",
    ),
    pytest.param(
        "0000006d0a067374646f757410f99084b5d9a49ff5181a116c6173742d756e7465726d696e6174656420012a44124039623939"
        "333737633065393962363139383933633335643933366433613637643133386633633831316436623338336336386436336431"
        "3966303934613666361801"
        "0000006d",
        ("last-unterminated", "stdout", "2026-11-22T22:03:21.854961785Z"),
        id="28, a line without an end",
    ),
]


def decode(block: bytes, offset: int = 0) -> Decoded:
    return FORMAT.decode(block, offset)


def logs(decoded: Decoded) -> list[str]:
    return [each.log for each in decoded.records]


def lines(decoded: Decoded) -> list[str]:
    return [each.log for each in Joiner().join(decoded.records, decoded.starts, "g", "c.g.")]


@pytest.mark.parametrize(("packed", "wanted"), RECORDED)
def test_what_docker_wrote_is_read(packed: str, wanted: tuple[str, str, str]) -> None:
    found = decode(bytes.fromhex(packed))
    assert [(each.log, each.stream, each.time) for each in found.records] == [wanted]
    assert (found.size, found.corrupt) == (len(packed) // 2, 0)


def test_records_come_with_their_places_in_the_file() -> None:
    found = decode(ONE + TWO + THREE, 1000)
    assert logs(found) == ["one\n", "two\n", "three\n"]
    assert [each.time for each in found.records] == [moment(1), moment(2), moment(3)]
    assert found.starts == [1000, 1000 + len(ONE), 1000 + len(ONE + TWO)]
    assert (found.size, found.corrupt) == (len(ONE + TWO + THREE), 0)


@pytest.mark.parametrize("rest", [b"", b"\0", THREE[:2], THREE[:12], THREE[:-1], b"\0" * 50])
def test_what_has_no_end_yet_is_left_for_later(rest: bytes) -> None:
    found = decode(ONE + rest)
    assert (logs(found), found.size, found.corrupt) == (["one\n"], len(ONE), 0)


def test_nothing_is_read_from_nothing() -> None:
    assert decode(b"", 7) == Decoded([], [], 0)


@given(st.binary(max_size=300).filter(lambda line: b"\n" not in line), st.integers(-(10**18), 7 * 10**18))
def test_any_line_of_any_time_comes_back(line: bytes, time: int) -> None:
    found = decode(record(line, time))
    (event,) = Joiner().join(found.records, found.starts, "g", "c.g.")
    assert event.log == "".join(
        each if each < "\udc80" or each > "\udcff" else "\ufffd"
        for each in line.decode("utf-8", "surrogateescape")
    )
    second, fraction = divmod(BASE_NS + time, 10**9)
    assert event.time.endswith(f".{fraction:09d}Z")
    assert (event.time == moment(1)) is (time == 1)
    assert second or time


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 16383, PIECE_BYTES])
def test_lines_of_any_length_come_back(length: int) -> None:
    assert logs(decode(record(b"y" * length, 1) + TWO)) == ["y" * length + "\n", "two\n"]


def test_pieces_of_a_line_become_one_line_of_the_same_bytes() -> None:
    whole = ("é" * 30_000).encode()[1:]  # so that pieces end within characters
    cut = [whole[at : at + PIECE_BYTES] for at in range(0, len(whole), PIECE_BYTES)]
    packed = b"".join(record(each, 5, piece=at, last=at == len(cut)) for at, each in enumerate(cut, 1))
    assert lines(decode(packed + ONE)) == ["\ufffd" + "é" * 29_999, "one"]


@pytest.mark.parametrize("end", ["", "tail"])
def test_a_line_of_whole_pieces_ends_where_docker_says(end: str) -> None:
    packed = record(FULL, 1, piece=1) + record(end.encode(), 1, piece=2, last=True)
    assert lines(decode(packed)) == ["x" * PIECE_BYTES + end]


def test_attributes_are_read() -> None:
    (event,) = decode(record(b"a", 1, tag="web", env="")).records
    assert event.attrs == {"tag": "web", "env": ""}


def test_fields_of_later_dockers_are_passed_over() -> None:
    entry = text(1, b"stdout") + number(2, BASE_NS + 1) + text(3, b"a")
    more = number(9, 7) + text(10, b"?") + b"\x59" + b"8" * 8 + b"\x65" + b"4" * 4
    assert logs(decode(framed(entry + more) + TWO)) == ["a\n", "two\n"]


DAMAGE = [
    pytest.param(b"\0" * 100, id="NULs"),
    pytest.param(b"\0" * 8, id="a record of nothing"),
    pytest.param(TWO[:12], id="a torn record"),
    pytest.param(record(b"z" * 3000, 9)[:3000] + b"\0" * 1000, id="a torn record and NULs"),
    pytest.param(record(b"z" * 3000, 9)[:20], id="a torn record longer than what follows"),
    pytest.param(TWO[:-1] + b"\1", id="lengths that differ"),
    pytest.param(TWO[4:], id="no length"),
    pytest.param(b"\xff\xff\xff\xff" + TWO[4:], id="a length beyond all"),
    pytest.param(framed(b"\0\0\0"), id="no fields"),
    pytest.param(framed(text(1, b"stdout") + text(3, b"no time")), id="no time"),
    pytest.param(framed(number(2, 5) + text(3, b"no stream")), id="no stream"),
    pytest.param(framed(text(1, b"stdout") + number(2, BASE_NS) + b"\x1a\x05ab"), id="a line cut short"),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_costs_no_record_beside_it(damage: bytes) -> None:
    found = decode(THREE + damage + ONE + TWO, 10)
    assert logs(found) == ["three\n", "one\n", "two\n"]
    assert (found.size, found.corrupt) == (len(THREE + damage + ONE + TWO), 1)
    assert found.starts[1] == 10 + len(THREE + damage)


def test_damage_without_end_is_left_behind() -> None:
    found = decode(ONE + b"\0" * 200_000)
    assert logs(found) == ["one\n"]
    assert found.size > 100_000
    assert found.corrupt == 1


@given(st.lists(st.sampled_from([ONE, TWO, THREE, record(b"", 4), b"\0\0\0", ONE[:9], b"junk"])), st.data())
def test_nothing_depends_on_where_a_block_ends(parts: list[bytes], data: st.DataObject) -> None:
    file = b"".join(parts)
    whole = decode(file)
    first = decode(file[: data.draw(st.integers(0, len(file)))])
    second = decode(file[first.size :], first.size)
    assert [*first.starts, *second.starts] == list(whole.starts)
    assert logs(first) + logs(second) == logs(whole)
    assert first.corrupt + second.corrupt == whole.corrupt
    assert first.size + second.size == whole.size


@given(st.binary(max_size=200))
def test_no_bytes_raise_an_error(junk: bytes) -> None:
    assert decode(junk + b"\0" * 8 + ONE).records[-1].log == "one\n"
    FORMAT.first_record(junk)
    FORMAT.end(junk)


@pytest.mark.parametrize(
    ("block", "first"),
    [
        (ONE + TWO, ONE),
        (ONE, ONE),
        (ONE[:-1], None),
        (b"", None),
        (b"\0" * 63, None),
        (b"\0" * 99, b"\0" * 64),
    ],
)
def test_the_first_record_is_known_when_it_is_whole(block: bytes, first: bytes | None) -> None:
    assert FORMAT.first_record(block) == first


@pytest.mark.parametrize(
    ("block", "end"),
    [
        (ONE + TWO, len(ONE + TWO)),
        (ONE[7:] + TWO, len(ONE[7:] + TWO)),
        (ONE + TWO[:-1], len(ONE)),
        (ONE + b"\0" * 9, len(ONE)),
        (ONE[:-1], 0),
        (b"", 0),
    ],
)
def test_the_end_of_the_last_whole_record_is_found(block: bytes, end: int) -> None:
    assert FORMAT.end(block) == end


@pytest.fixture
def entries() -> Any:
    """Return the message class that the official library makes of Docker's definition."""
    pb = pytest.importorskip("google.protobuf.descriptor_pb2")
    pool = pytest.importorskip("google.protobuf.descriptor_pool")
    factory = pytest.importorskip("google.protobuf.message_factory")
    kind = pb.FieldDescriptorProto
    file = pb.FileDescriptorProto(name="entry.proto", syntax="proto3")
    shapes = {
        "Partial": [("last", kind.TYPE_BOOL), ("id", kind.TYPE_STRING), ("ordinal", kind.TYPE_INT32)],
        "LogEntry": [
            ("source", kind.TYPE_STRING),
            ("time_nano", kind.TYPE_INT64),
            ("line", kind.TYPE_BYTES),
            ("partial", kind.TYPE_BOOL),
            ("about", kind.TYPE_MESSAGE),
        ],
    }
    for name, fields in shapes.items():
        message = file.message_type.add(name=name)
        for at, (field, type_) in enumerate(fields, 1):
            named = {"type_name": ".Partial"} if type_ == kind.TYPE_MESSAGE else {}
            message.field.add(name=field, number=at, type=type_, label=kind.LABEL_OPTIONAL, **named)
    made = pool.DescriptorPool()
    made.Add(file)
    return factory.GetMessageClass(made.FindMessageTypeByName("LogEntry"))


@pytest.mark.parametrize("partial", [None, False, True])
@pytest.mark.parametrize("time", [0, 1, 1 << 28, 1 << 56, 1_790_000_000_123_456_789, -1])
@pytest.mark.parametrize("line", [b"", b"hello", "é".encode() * 300, b"\xff", b"v" * PIECE_BYTES])
def test_what_the_official_library_packs_is_read(
    entries: Any, partial: bool | None, time: int, line: bytes
) -> None:
    entry = entries(source="stderr", time_nano=time, line=line, partial=partial is not None)
    if partial is not None:
        entry.about.last = partial
        entry.about.id = "id"
        entry.about.ordinal = 3
    found = decode(framed(entry.SerializeToString()) + ONE)
    if time == 0:  # a field of value 0 is not there: no time, no record
        assert (logs(found), found.corrupt) == (["one\n"], 1)
        return
    first, _ = found.records
    assert first.stream == "stderr"
    ends = partial is not False
    assert first.log.endswith(("\n", "\udc0a")) is ends
    assert first.log[: -1 if ends else None].encode("utf-8", "surrogateescape") == line


class _Books:
    """Remembers nothing."""

    position: Position | None = None
    reserved: Mark | None = None

    def keep(self, position: Position) -> None: ...

    def reserve(self, mark: Mark) -> None: ...


def test_a_follower_reads_files_of_this_format_through_a_rotation(tmp_path: Path) -> None:
    current = tmp_path / FORMAT.file_name
    chain = Chain(current, FORMAT, Names())
    assert not chain.look()  # the folder comes with the first start
    current.parent.mkdir()
    current.write_bytes(ONE + record(FULL, 7, piece=1))
    chain.look()
    follower = Follower(container(), chain, FORMAT, _Books())
    batches = [follower.read()]
    current.rename(current.with_name("container.log.1"))
    current.write_bytes(record(b"end", 7, piece=2, last=True) + TWO)
    chain.look()
    batches += [follower.read(), follower.read()]
    found = [event for batch in batches if batch for event in batch.events]
    assert [event.log for event in found] == ["one", "x" * PIECE_BYTES + "end", "two"]
    assert all(event.id.startswith(ID[:12]) for event in found)
    follower.close()
    chain.close()
