"""Documents as typed values, and that no number of threads ends the process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from compose_agent.typed import any_from_json, convert, from_json, from_msgpack, json_decoder

# With msgspec's own calls in place of ours this ends by SIGSEGV, most times within a few rounds.
STORM = """
import sys, threading, msgspec
from compose_agent.typed import convert, from_json, from_msgpack

sys.setswitchinterval(1e-6)
READ = [
    lambda kind: from_json(msgspec.json.encode(PLAIN), kind),
    lambda kind: from_msgpack(msgspec.msgpack.encode(PLAIN), kind),
    lambda kind: convert(PLAIN, kind),
]
PLAIN = {"one": {"a": 1, "b": "x"}, "many": {"k": {"a": 2, "b": "y"}}, "list": [{"a": 3, "b": "z"}]}
for _ in range(int(sys.argv[1])):
    inner = msgspec.defstruct("Inner", [("a", int), ("b", str | None)])
    kind = msgspec.defstruct("Outer", [("one", inner), ("many", dict[str, inner]), ("list", list[inner])])
    together = threading.Barrier(len(READ) * 2)

    def work(read):
        together.wait()
        assert read(kind).one.a == 1

    threads = [threading.Thread(target=work, args=(read,)) for read in READ * 2]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


class Point(msgspec.Struct):
    x: int


@pytest.mark.parametrize(
    ("data", "kind", "value"),
    [
        (b'{"x": 1}', Point, Point(1)),
        ('{"x": 1}', dict[str, int], {"x": 1}),
        (b"[1, 2]", tuple[int, ...], (1, 2)),
    ],
)
def test_a_document_is_read_as_what_is_asked_for(data: bytes, kind: type[Any], value: object) -> None:
    assert from_json(data, kind) == value
    assert from_msgpack(msgspec.msgpack.encode(any_from_json(data)), kind) == value
    assert convert(any_from_json(data), kind) == value


def test_what_is_wrong_is_named_with_its_place() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `str` - at `\$.x`"):
        from_json(b'{"x": "1"}', Point)
    with pytest.raises(msgspec.ValidationError, match=r"\$.x"):
        convert({"x": "1"}, Point)
    assert convert({"x": "1"}, Point, strict=False) == Point(1)


def test_what_is_nested_too_deep_is_wrong_like_anything_else() -> None:
    deep = b'{"x": 1, "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(msgspec.DecodeError, match="nested too deep"):
        from_json(deep, Point)


def test_a_type_is_learnt_once() -> None:
    assert json_decoder(Point) is json_decoder(Point)


def test_threads_that_meet_at_a_new_type_end_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", STORM, "300"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
