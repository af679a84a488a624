"""Dead letters are sent again once the sink takes them, and stay when it does not."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from compose_agent.errors import ComposeAgentError
from log_forwarder.deadletters import FILE_NAME, DeadLetters
from log_forwarder.event import Event
from log_forwarder.fake.bulk import FakeBulk
from log_forwarder.replay import BEING_SENT, alone, replay
from log_forwarder.sinks import parse
from tests.log_forwarder.making import container


def bury(folder: Path, sink: str, *texts: str) -> None:
    letters = DeadLetters(folder)
    for number, text in enumerate(texts):
        event = Event(text, "stdout", "2026-11-22T10:00:00.5Z", id=f"111111111111.aaaaaaaaaaaa.{number:010x}")
        letters.put(sink, container(), event, "mapper_parsing_exception", threading.Event())


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


def test_two_replays_at_once_are_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ComposeAgentError, match="already"):
        replay(tmp_path, [])
