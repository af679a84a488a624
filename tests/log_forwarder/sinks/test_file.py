from __future__ import annotations

import fcntl
import gzip
import json
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from log_forwarder.event import Event
from log_forwarder.share import Share
from log_forwarder.sinks import parse, rotated
from log_forwarder.sinks.contract import Answer, RequestSink, SinkContext, SinkUnavailable
from log_forwarder.sinks.file import make as make_file
from tests.log_forwarder.sinks.lines import CONTAINER, batch, event, numbered, send, sink, texts


def put(target: RequestSink, start: int, end: int, *, again: bool = False) -> None:
    assert send(target, numbered(start, end), again=again) == Answer()


def writing(path: Path, options: str = "") -> closing[RequestSink]:
    """Return a run of a sink for a file, to be entered."""
    return closing(sink(f"file://{path}{options}", path.parent))


def stored(path: Path) -> list[str]:
    """Return the texts in all files of the chain, oldest first."""
    files = sorted(
        path.parent.glob(f"{path.name}*"),
        key=lambda each: -int(each.name.split(".")[2] if each != path else 0),
    )
    raw = b"".join(
        gzip.decompress(each.read_bytes()) if each.suffix == ".gz" else each.read_bytes() for each in files
    )
    return [json.loads(line)["log"] for line in raw.splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.ndjson"


def test_lines_are_added_in_order(path: Path) -> None:
    with writing(path) as target:
        put(target, 0, 3)
        put(target, 3, 5)
    assert stored(path) == texts(0, 5)


def test_what_a_run_before_stored_is_not_stored_again(path: Path) -> None:
    with writing(path) as target:
        put(target, 0, 5)
    with writing(path) as target:
        put(target, 3, 8, again=True)
        put(target, 8, 9)
    assert stored(path) == texts(0, 9)


@pytest.mark.parametrize("compress", ["true", "false"])
def test_what_a_run_before_stored_in_rotated_files_is_not_stored_again(path: Path, compress: str) -> None:
    options = f"?max-size=2KB&max-files=50&compress={compress}"
    with writing(path, options) as target:
        for start in range(0, 60, 3):
            put(target, start, start + 3)
    with writing(path, options) as target:
        put(target, 40, 70, again=True)
    assert Counter(stored(path)) == Counter(texts(0, 70))


def test_a_torn_line_of_a_killed_run_is_cut_and_written_whole(path: Path) -> None:
    with writing(path) as target:
        put(target, 0, 4)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with writing(path) as target:
        put(target, 0, 5, again=True)
    assert stored(path) == texts(0, 5)


def test_a_file_of_one_torn_line_longer_than_a_block_becomes_empty(path: Path) -> None:
    path.write_bytes(b"x" * 200_000)
    with writing(path) as target:
        put(target, 0, 1)
    assert stored(path) == texts(0, 1)


def test_rotation_keeps_so_many_files_of_at_most_so_many_bytes(path: Path) -> None:
    with writing(path, "?max-size=1KB&max-files=3&compress=false") as target:
        for number in range(30):
            put(target, number, number + 1)
    assert sorted(each.name for each in path.parent.iterdir()) == ["x.ndjson", "x.ndjson.1", "x.ndjson.2"]
    assert all(each.stat().st_size <= 1000 for each in path.parent.iterdir())
    kept = stored(path)
    assert kept == texts(30 - len(kept), 30)


def test_one_file_is_kept_when_one_is_asked_for(path: Path) -> None:
    with writing(path, "?max-size=1KB&max-files=1") as target:
        for number in range(10):
            put(target, number, number + 1)
    assert [each.name for each in path.parent.iterdir()] == ["x.ndjson"]
    assert stored(path)[-1] == "line 9"


def test_rotated_files_are_packed_also_one_that_a_killed_run_left(path: Path) -> None:
    path.with_name("x.ndjson.1").write_bytes(b'{"log":"left"}\n')
    with writing(path, "?max-size=1KB") as target:
        for number in range(5):
            put(target, number, number + 1)
    names = sorted(each.name for each in path.parent.iterdir())
    assert names[0] == "x.ndjson"
    assert all(name.endswith(".gz") for name in names[1:])
    assert stored(path) == ["left", *texts(0, 5)]


def test_a_file_that_was_moved_away_is_begun_anew(path: Path) -> None:
    with writing(path) as target:
        put(target, 0, 2)
        path.rename(path.with_name("elsewhere"))
        put(target, 2, 4)
    assert stored(path) == texts(2, 4)


def test_several_processes_write_one_chain(path: Path) -> None:
    """Workers of one forwarder: every line once and whole, through rotations and packing."""
    word = f"file://{path}?max-size=5k&max-files=1000"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, word, str(path.parent), str(first)])
        for first in range(0, 4000, 1000)
    ]
    for writer in writers:
        assert writer.wait(60) == 0
    found = stored(path)
    assert sorted(found) == sorted(texts(0, 4000))
    for first in range(0, 4000, 1000):
        mine = set(texts(first, first + 1000))
        assert [text for text in found if text in mine] == texts(first, first + 1000)


WRITER = """
import sys
from pathlib import Path
from tests.log_forwarder.sinks.lines import numbered, sink
word, folder, first = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
target = sink(word, folder)
for start in range(first, first + 1000, 10):
    target.send(target.encode(numbered(start, start + 10)), again=False)
target.close()
"""


def test_a_process_finds_its_lines_behind_any_amount_of_the_others(path: Path) -> None:
    """A worker that was killed, while the others went on."""
    word = parse(f"file://{path}?max-size=20k&max-files=100")
    mine, other = sorted((Share(0, 2), Share(1, 2)), key=lambda share: not share.has(CONTAINER.id))
    foreign = next(digit * 12 for digit in "0123456789abcdef" if other.has(digit * 12))
    context = SinkContext("file", "host-1", path.parent, share=mine, queue_bytes=1000)
    with closing(make_file(word, context)) as killed:
        put(killed, 0, 3)
    with closing(make_file(word, replace(context, share=other))) as busy:
        for start in range(0, 400, 10):
            numbers = range(start, start + 10)
            lines = [Event("x", "stdout", event(at).time, id=f"{foreign}.1.{at:x}") for at in numbers]
            send(busy, batch(lines))
    with closing(make_file(word, context)) as again:
        put(again, 0, 4, again=True)
    assert [text for text in stored(path) if text != "x"] == texts(0, 4)


def test_a_file_that_somebody_holds_is_waited_for_and_then_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotated, "_LOCK_SECONDS", 0.1)
    target = sink(f"file://{path}", path.parent)
    put(target, 0, 1)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SinkUnavailable, match=r"another process holds .*x\.ndjson: see which one does"):
            put(target, 1, 2)
    put(target, 1, 2)
    target.close()
    assert stored(path) == texts(0, 2)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file of this process grow beyond 1,000 bytes, so that a write ends in the middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_request_that_was_written_in_part_is_taken_back_whole(path: Path) -> None:
    with writing(path) as target:
        put(target, 0, 2)
        with pytest.raises(SinkUnavailable) as caught:
            put(target, 2, 12)
        assert not caught.value.unseen
        assert stored(path) == texts(0, 2)
        put(target, 2, 3)
    assert stored(path) == texts(0, 3)


def test_what_cannot_be_packed_stays_as_it_is(path: Path) -> None:
    path.with_name("x.ndjson.1").write_bytes(b'{"log":"left"}\n')
    path.with_name("x.ndjson.1.gz").mkdir()  # which no file can replace
    with writing(path) as target:
        put(target, 0, 1)
    assert path.with_name("x.ndjson.1").read_bytes() == b'{"log":"left"}\n'
    assert not path.with_name("x.ndjson.1.gz.partial").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/dev/full", "the disk of /dev/full is full: make room; what waits is written then"),
        ("/proc/none/x", "there is no folder /proc/none: create or mount it"),
        ("/proc", "/proc cannot be written (Is a directory)"),
    ],
)
def test_why_nothing_can_be_written(name: str, message: str, tmp_path: Path) -> None:
    target = sink(f"file://{name}", tmp_path)
    with pytest.raises(SinkUnavailable) as caught:
        put(target, 0, 1)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("file://", "expected an absolute path after three slashes, such as file:///var/log/x.ndjson"),
        (
            "file://var/log/x",
            "expected an absolute path after three slashes, such as file:///var/log/x.ndjson",
        ),
        ("file:///x?max-size=0", "max-size: expected more than 0 bytes"),
        ("file:///x?max-files=0", "max-files: expected a whole number from 1 to 1000000, not '0'"),
        ("file:///x?compress=maybe", "compress: expected true or false, not 'maybe'"),
        ("file:///x?max-sise=1", "there is no option 'max-sise', did you mean 'max-size'?"),
    ],
)
def test_a_word_that_is_wrong_is_refused(word: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        sink(word, tmp_path)
    assert caught.value.problems[0].what == message
