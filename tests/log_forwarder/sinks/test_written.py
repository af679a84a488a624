"""What a file sink wrote is read while it goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from compose_agent.errors import ComposeAgentError
from log_forwarder.sinks import parse
from log_forwarder.sinks.written import written_texts
from tests.log_forwarder.sinks.lines import numbered, sink


def texts(path: Path, marker: str = "line") -> list[str]:
    return list(written_texts(parse(f"file://{path}"), marker))


@pytest.mark.parametrize("compress", [0, 1])
def test_all_files_of_a_chain_are_read_the_oldest_first(tmp_path: Path, compress: int) -> None:
    path = tmp_path / "x[1].ndjson"
    target = sink(f"file://{tmp_path}/x%5B1%5D.ndjson?max-size=1k&max-files=20&compress={compress}", tmp_path)
    for start in range(0, 120, 10):
        target.send(target.encode(numbered(start, start + 10)), again=False)
    target.close()
    assert len(list(tmp_path.iterdir())) > 10
    found = list(written_texts(parse(f"file://{tmp_path}/x%5B1%5D.ndjson"), "line"))
    assert found == [f"line {number}" for number in range(120)]
    assert path.exists()


def test_only_whole_lines_with_the_marker_count(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    assert texts(path) == []
    path.write_bytes(b'{"log":"line 1"}\n{"log":"other"}\nno JSON, line 2\n{"log":"line 3"}\n{"log":"line 4')
    (tmp_path / "x.ndjson.1.gz.partial").write_bytes(b"line")
    (tmp_path / "x.ndjson.old").write_bytes(b'{"log":"line 0"}\n')
    assert texts(path) == ["line 1", "", "line 3"]


def test_a_file_that_is_packed_at_this_moment_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'{"log":"line 2"}\n')
    for name in ("x.ndjson.1", "x.ndjson.1.gz"):
        (tmp_path / name).write_bytes(b'{"log":"line 1"}\n')
    assert texts(path) == ["line 1", "line 2"]


def test_rotations_meanwhile_neither_hide_nor_double_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    target = sink(f"file://{path}?max-size=60k&max-files=90", tmp_path)
    ended = threading.Event()

    def write() -> None:
        for start in range(0, 6000, 20):
            target.send(target.encode(numbered(start, start + 20)), again=False)
            ended.wait(0.005)
        ended.set()

    writing = threading.Thread(target=write)
    writing.start()
    while not ended.is_set():
        found = texts(path)
        assert found == [f"line {number}" for number in range(len(found))]
    writing.join()
    target.close()
    assert len(texts(path)) == 6000


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    (tmp_path / "x.ndjson.1.gz").write_bytes(b"not gzip")
    with pytest.raises(ComposeAgentError, match=r"x\.ndjson and what was rotated cannot be read"):
        texts(path)
