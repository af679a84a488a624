"""Annotations from the audit, against a server that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd.verbs.model import Result
from lab.receiver import ScriptedReceiver
from remediation.annotations import POSITION_FLAG, Annotations
from remediation.grafana import Grafana, GrafanaError
from remediation.journal import Journal
from tests.remediation.samples import NOW, intent


@pytest.fixture
def receiver() -> Iterator[ScriptedReceiver]:
    with ScriptedReceiver() as started:
        yield started


@pytest.fixture
def grafana(receiver: ScriptedReceiver) -> Grafana:
    return Grafana(receiver.url.removesuffix("/webhook"))


def acted(journal: Journal, result: Result, detail: str = "", about: str = "i1") -> None:
    fields = {"action": "restart", "target": "container:web", "result": result, "detail": detail}
    journal.write(lambda tx: tx.audit("acted", {"episode": "e1", "intent": about}, fields))


def texts(receiver: ScriptedReceiver) -> list[str]:
    return [post.body["text"] for post in receiver.posts]


def test_what_was_done_from_now_on_is_told_once(tmp_path: Path, receiver: ScriptedReceiver) -> None:
    journal = Journal(tmp_path, now=lambda: NOW)
    journal.write(lambda tx: tx.put_intent(intent()))
    grafana = Grafana(receiver.url.removesuffix("/webhook"))
    acted(journal, Result.FAILED, "long ago")
    annotations = Annotations(journal)
    annotations.follow(grafana)
    acted(journal, Result.DONE)
    acted(journal, Result.REFUSED, "not that one")
    journal.write(lambda tx: tx.audit("thawed", {}, {"by": "ann"}))
    annotations.follow(grafana)
    acted(journal, Result.FAILED, "it did not start", about="gone")
    for _ in range(2):
        annotations.follow(grafana)
    assert texts(receiver) == [
        "The restart of container:web: it was done.",
        "The restart of container:web: it failed: it did not start.",
    ]
    first, second = (post.body for post in receiver.posts)
    assert first["time"] == NOW * 1000
    assert first["tags"] == [
        "compose-agent",
        "policy:restart-unhealthy",
        "target:container:web",
        "action:restart",
        "result:done",
    ]
    assert "result:failed" in second["tags"]
    keys = [post.headers["Idempotency-Key"] for post in receiver.posts]
    assert len(set(keys)) == 2
    journal.close()


def test_while_grafana_is_away_nothing_is_lost_and_nothing_overtakes(
    journal: Journal, receiver: ScriptedReceiver, grafana: Grafana
) -> None:
    annotations = Annotations(journal)
    annotations.follow(grafana)
    for number in range(3):
        acted(journal, Result.FAILED, str(number))
    for status in (503, 401):
        receiver.answer(status)
        with pytest.raises(GrafanaError, match=str(status)):
            annotations.follow(grafana)
    receiver.answer(200)
    Annotations(journal).follow(grafana)  # as after a restart
    assert [each[-2] for each in texts(receiver)] == ["0", "0", "0", "1", "2"]


def test_one_that_is_never_taken_does_not_hold_up_the_next(
    journal: Journal, receiver: ScriptedReceiver, grafana: Grafana
) -> None:
    annotations = Annotations(journal)
    annotations.follow(grafana)
    acted(journal, Result.DONE)
    receiver.answer(400)
    annotations.follow(grafana)
    receiver.answer(200)
    acted(journal, Result.FAILED)
    annotations.follow(grafana)
    assert [post.status for post in receiver.posts] == [400, 200]


def test_more_than_one_part_is_followed_to_the_end(
    journal: Journal, receiver: ScriptedReceiver, grafana: Grafana
) -> None:
    annotations = Annotations(journal)
    annotations.follow(grafana)
    for _ in range(1200):
        journal.write(lambda tx: tx.audit("thawed", {}, {"by": "ann"}))
    acted(journal, Result.DONE)
    annotations.follow(grafana)
    assert len(receiver.posts) == 1
    assert journal.read(lambda view: view.flag(POSITION_FLAG)) == "1201"


def test_who_was_not_to_be_told_is_not_told_afterwards(
    journal: Journal, receiver: ScriptedReceiver, grafana: Grafana
) -> None:
    annotations = Annotations(journal)
    annotations.follow(grafana)
    annotations.forget()
    annotations.forget()
    acted(journal, Result.DONE)
    annotations.follow(grafana)
    assert receiver.posts == []
