"""Dead letters are sent again once the sink takes them, and stay when it does not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import tracemalloc
from itertools import combinations
from pathlib import Path

import pytest

from compose_agent.errors import ComposeAgentError
from lab.loopback import free_port
from log_forwarder.beingsent import BEING_SENT, alone
from log_forwarder.deadletters import FILE_NAME, DeadLetters
from log_forwarder.event import Event
from log_forwarder.fake.bulk import FakeBulk
from log_forwarder.replay import replay
from log_forwarder.sinks import parse
from tests.log_forwarder.making import container, until


def bury(folder: Path, sink: str, *texts: str, start: int = 0) -> None:
    letters = DeadLetters(folder)
    for number, text in enumerate(texts, start):
        event = Event(text, "stdout", "2026-11-22T10:00:00.5Z", id=f"111111111111.aaaaaaaaaaaa.{number:010x}")
        letters.put(sink, container(), event, "mapper_parsing_exception", threading.Event())


def logs(path: Path) -> list[str]:
    """Return the lines of the letters in a file."""
    return [json.loads(each)["event"]["log"] for each in path.read_text().splitlines()]


def test_what_was_refused_is_stored_once_the_sink_takes_it(tmp_path: Path) -> None:
    with FakeBulk() as sink:
        word = parse(f"elasticsearch://127.0.0.1:{sink.port}/logs-docker-default")
        bury(tmp_path, word.name, "one", "two")
        outcome = replay(tmp_path, [word])
        assert (outcome.sent, outcome.refused, outcome.left) == (2, 0, 0)
        assert sorted(each["message"] for each in sink.store.documents("logs-docker-default")) == [
            "one",
            "two",
        ]
    assert not (tmp_path / FILE_NAME).exists()
    assert not (tmp_path / BEING_SENT).exists()


def test_letters_of_sinks_that_are_not_configured_stay_as_they_were(tmp_path: Path) -> None:
    bury(tmp_path, "another", "one")
    before = (tmp_path / FILE_NAME).read_bytes()
    with FakeBulk() as sink:
        outcome = replay(tmp_path, [parse(f"elasticsearch://127.0.0.1:{sink.port}")])
    assert (outcome.sent, outcome.left) == (0, 1)
    assert (tmp_path / BEING_SENT).read_bytes() == before


def test_a_file_takes_letters_too(tmp_path: Path) -> None:
    out = tmp_path / "out" / "x.ndjson"
    word = parse(f"file://{out}")
    bury(tmp_path, word.name, "one")
    out.parent.mkdir()
    assert replay(tmp_path, [word]).sent == 1
    assert [json.loads(line)["log"] for line in out.read_text().splitlines()] == ["one"]


def test_what_is_refused_once_more_is_a_dead_letter_again(tmp_path: Path) -> None:
    with FakeBulk() as sink:
        sink.faults.poison = lambda document: document["message"] == "two"
        word = parse(f"elasticsearch://127.0.0.1:{sink.port}/logs-docker-default")
        bury(tmp_path, word.name, "one", "two")
        outcome = replay(tmp_path, [word])
    assert (outcome.sent, outcome.refused, outcome.left) == (1, 1, 0)
    (letter,) = map(json.loads, (tmp_path / FILE_NAME).read_text().splitlines())
    assert letter["event"]["log"] == "two"


def test_a_torn_letter_does_not_keep_the_others_from_being_sent(tmp_path: Path) -> None:
    with FakeBulk() as sink:
        word = parse(f"elasticsearch://127.0.0.1:{sink.port}/logs-docker-default")
        (tmp_path / FILE_NAME).write_bytes(b'{"torn')
        bury(tmp_path, word.name, "one")
        outcome = replay(tmp_path, [word])
    assert (outcome.sent, outcome.left) == (1, 1)


@pytest.mark.parametrize(
    "line", [b'{"sink":"x"}', b'{"sink":1,"event":{},"container":{}}', b"[]", b"null", b'{"sink":"\xff\xfe']
)
def test_what_is_no_letter_stays(tmp_path: Path, line: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(line + b"\n")
    assert replay(tmp_path, [parse("stdout://")]).left == 1
    assert (tmp_path / BEING_SENT).read_bytes() == line + b"\n"


def test_letters_are_sent_portion_by_portion_and_those_that_stay_keep_their_order(tmp_path: Path) -> None:
    with FakeBulk() as sink:
        word = parse(f"elasticsearch://127.0.0.1:{sink.port}/logs-docker-default")
        for number in range(50):
            bury(tmp_path, word.name if number % 2 else "another", f"line {number}", start=number)
        outcome = replay(tmp_path, [word], portion_bytes=1000)
        assert (outcome.sent, outcome.refused, outcome.left) == (25, 0, 25)
        documents = sink.store.documents("logs-docker-default")
        assert sink.requests["_bulk"] > 10
    assert {each["message"] for each in documents} == {f"line {n}" for n in range(1, 50, 2)}
    assert logs(tmp_path / BEING_SENT) == [f"line {n}" for n in range(0, 50, 2)]


def test_no_more_than_a_portion_is_in_memory(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    word = parse(f"file://{out}")
    bury(tmp_path, word.name, *(f"{n} " + "x" * 100_000 for n in range(100)))
    tracemalloc.start()
    try:
        assert replay(tmp_path, [word], portion_bytes=200_000).sent == 100
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000 < out.stat().st_size


def test_a_sink_that_takes_nothing_is_given_up_and_the_others_have_theirs(tmp_path: Path) -> None:
    down = parse(f"fluentd://127.0.0.1:{free_port()}?name=down")
    out = tmp_path / "out.ndjson"
    for number in range(10):
        bury(tmp_path, "down" if number % 2 else "up", f"line {number}")
    outcome = replay(tmp_path, [down, parse(f"file://{out}?name=up")], patience=3.0, portion_bytes=1000)
    assert (outcome.sent, outcome.refused, outcome.left) == (5, 0, 5)
    assert logs(tmp_path / BEING_SENT) == [f"line {n}" for n in range(1, 10, 2)]
    assert [json.loads(each)["log"] for each in out.read_text().splitlines()] == [
        f"line {n}" for n in range(0, 10, 2)
    ]
    with FakeBulk() as sink:
        mended = parse(f"elasticsearch://127.0.0.1:{sink.port}/logs-docker-default?name=down")
        assert replay(tmp_path, [mended]).sent == 5
    assert not (tmp_path / BEING_SENT).exists()


def test_a_sink_that_is_slow_is_not_given_up_while_it_takes_something(tmp_path: Path) -> None:
    with FakeBulk() as sink:
        sink.faults.late_seconds = 0.2
        word = parse(f"elasticsearch://127.0.0.1:{sink.port}/logs-docker-default")
        bury(tmp_path, word.name, *(f"line {n}" for n in range(20)))
        begin = time.monotonic()
        assert replay(tmp_path, [word], patience=1.5, portion_bytes=1000).left == 0
        assert time.monotonic() - begin > 1.5


# What each file has when a replay begins: letters that were written since, those that were being moved, and
# those that were being sent when an earlier one was killed.
@pytest.mark.parametrize("files", [files for n in (1, 2, 3) for files in combinations("lma", n)])
def test_letters_are_sent_from_wherever_a_kill_left_them(tmp_path: Path, files: tuple[str, ...]) -> None:
    names = {"l": FILE_NAME, "m": "dead-letters.moving.ndjson", "a": BEING_SENT}
    for each in files:
        bury(tmp_path, "out", f"{each}1", f"{each}2")
        (tmp_path / FILE_NAME).rename(tmp_path / f"{each}.kept")
    for each in files:
        (tmp_path / f"{each}.kept").rename(tmp_path / names[each])
    if "a" in files:
        with (tmp_path / BEING_SENT).open("ab") as file:
            file.write(b'{"torn')
    (tmp_path / "dead-letters.being-sent.new").write_bytes(b"half of a copy")
    out = tmp_path / "out.ndjson"
    outcome = replay(tmp_path, [parse(f"file://{out}?name=out")])
    assert (outcome.sent, outcome.left) == (2 * len(files), int("a" in files))
    sent = [json.loads(each)["log"] for each in out.read_text().splitlines()]
    assert sent == [f"{each}{n}" for each in "aml" if each in files for n in (1, 2)]
    assert sorted(tmp_path.glob("dead-letters.*")) == ([tmp_path / BEING_SENT] if "a" in files else [])


_REPLAY = """
import sys
from pathlib import Path
from log_forwarder.replay import replay
from log_forwarder.sinks import parse
replay(Path(sys.argv[1]), [parse(sys.argv[2])], portion_bytes=2000)
"""


def test_killed_over_and_over_it_loses_no_letter(tmp_path: Path) -> None:
    expected = set()
    with FakeBulk() as sink:
        sink.faults.late_seconds = 0.005
        word = parse(f"elasticsearch://127.0.0.1:{sink.port}/logs-docker-default")
        command = [sys.executable, "-c", _REPLAY, str(tmp_path), word.text]
        for run in range(3):
            fresh = [f"line {run} {n}" for n in range(200)]
            bury(tmp_path, word.name, *fresh, start=200 * run)
            expected.update(fresh)
            before = sink.requests["_bulk"]
            with subprocess.Popen(command) as process:
                until(lambda least=before + 3 * run: sink.requests["_bulk"] > least)  # type: ignore[misc]
                process.kill()
        replay(tmp_path, [word])
        assert {each["message"] for each in sink.store.documents("logs-docker-default")} == expected
    assert not list(tmp_path.glob("dead-letters.*"))


def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    bury(tmp_path, "out", "one")
    (tmp_path / "dead-letters.being-sent.new").mkdir()
    with pytest.raises(ComposeAgentError, match="cannot be read or replaced"):
        replay(tmp_path, [parse(f"file://{tmp_path}/out?name=out")])
    assert logs(tmp_path / BEING_SENT) == ["one"]


def test_two_replays_at_once_are_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ComposeAgentError, match="already"):
        replay(tmp_path, [])
