"""The two who tell others, each at its own pace."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compose_agent.config import Given, Schema, Section, resolve
from compose_agent.dockerd.verbs.model import Result
from lab.receiver import ScriptedReceiver
from remediation.annotations import POSITION_FLAG
from remediation.announcer import Announcer
from remediation.clients import Clients, clients_of
from remediation.journal import Journal
from remediation.model import State
from remediation.settings import RemediationSettings
from tests.remediation.journal.making import episode, intent
from tests.remediation.test_annotations import acted

SCHEMA = Schema([Section("remediation", RemediationSettings, "Remediation")])
WAIT_SECONDS = 30.0


def settings(**options: str) -> RemediationSettings:
    given = {f"remediation.{key.replace('_', '.')}": Given(text, "test") for key, text in options.items()}
    return resolve(SCHEMA, [given]).of(RemediationSettings)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_alerts_do_not_wait_for_grafana(journal: Journal) -> None:
    with ScriptedReceiver() as grafana, ScriptedReceiver() as alertmanager:
        grafana.answer(200, after=600)
        chosen = settings(grafana_url=root(grafana), alertmanager_url=root(alertmanager))
        announcer = Announcer(journal, clients_of(chosen), chosen)
        announcer.start()
        acted(journal, Result.FAILED)  # before anybody has looked
        grafana.wait_for_posts(1)
        fail(journal)
        (post,) = alertmanager.wait_for_posts(1)
        assert post.path == "/api/v2/alerts"
        announcer.stop()


def test_another_address_holds_from_the_next_look_on(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedReceiver() as wrong, ScriptedReceiver() as right:
        wrong.answer(401)
        first, second = (settings(alertmanager_url=root(each)) for each in (wrong, right))
        fail(journal)
        announcer = Announcer(journal, clients_of(first), first)
        announcer.start()
        wrong.wait_for_posts(1)
        until(lambda: "others are not told" in caplog.text)
        announcer.change(clients_of(second), second)
        right.wait_for_posts(1)
        announcer.stop()


def test_without_addresses_nobody_is_told(journal: Journal) -> None:
    journal.write(lambda tx: tx.set_flag(POSITION_FLAG, "1"))
    announcer = Announcer(journal, Clients(), settings())
    announcer.start()
    until(lambda: journal.read(lambda view: view.flag(POSITION_FLAG)) is None)
    announcer.stop()


def test_a_journal_that_is_closed_ends_nothing_but_the_telling(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with ScriptedReceiver() as receiver:
        chosen = settings(alertmanager_url=root(receiver))
        announcer = Announcer(journal, clients_of(chosen), chosen)
        announcer.start()
        journal.close()
        announcer.stop()
    assert receiver.posts == []


def root(receiver: ScriptedReceiver) -> str:
    return receiver.url.removesuffix("/webhook")


def fail(journal: Journal) -> None:
    made = episode()
    failed = intent(state=State.FAILED, detail="it is ill", ended_at=time.time())
    journal.write(lambda tx: tx.put_episode(made))
    journal.write(lambda tx: tx.put_intent(failed))
