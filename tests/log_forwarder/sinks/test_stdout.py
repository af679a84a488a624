from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.ndjson import LineEncoder
from log_forwarder.sinks.stdout import StdoutSink
from tests.log_forwarder.sinks.lines import batch, event, numbered, sink

# Far more than a pipe holds.
MANY = 2000
RESTS = "the standard output takes nothing (nobody has read from it for 0.05 s)"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def texts(raw: bytes) -> list[str]:
    return [json.loads(line)["log"] for line in raw.splitlines()]


def drain(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    found = b""
    try:
        while piece := os.read(descriptor, 65536):
            found += piece
    except BlockingIOError:
        pass
    os.set_blocking(descriptor, True)
    return found


def test_lines_go_to_the_standard_output(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = sink("stdout://", tmp_path)
    target.send(target.encode(numbered(0, 3)), again=False)
    target.close()
    assert texts(capfd.readouterr().out.encode()) == ["line 0", "line 1", "line 2"]


def test_a_request_cut_short_by_a_reader_that_rests_goes_on_where_it_stopped(pipe: tuple[int, int]) -> None:
    target = StdoutSink(pipe[1], LineEncoder("h"), patience=0.05)
    entries = target.encode(batch([event(n, f"{n} {'x' * (n % 700)}") for n in range(MANY)]))
    seen = b""
    problems: list[tuple[str, bool]] = []
    for _ in range(100):
        try:
            target.send(entries, again=bool(problems))
        except SinkUnavailable as error:
            problems.append((str(error), error.unseen))
            seen += drain(pipe[0])
        else:
            break
    seen += drain(pipe[0])
    assert len(problems) > 5
    assert set(problems) == {(RESTS, True)}
    assert [int(text.split()[0]) for text in texts(seen)] == list(range(MANY))


def test_a_closed_pipe_is_reported() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    target = StdoutSink(writer, LineEncoder("h"))
    with pytest.raises(SinkUnavailable, match="takes nothing \\(Broken pipe\\)"):
        target.send(target.encode(numbered(0, 1)), again=False)
    os.close(writer)


@pytest.mark.parametrize("word", ["stdout://somewhere", "stdout:///path"])
def test_a_word_with_a_place_is_refused(word: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected stdout:// with nothing behind it"):
        sink(word, tmp_path)
