"""What a real Alertmanager makes of the alerts that this agent raises, and what it tells at a start."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from compose_agent.dockerd.verbs.model import Result, VerbRequest
from lab.alertmanager import LINES, Alertmanager, alert, to_webhook
from remediation.alertmanager import Alertmanager as Client
from remediation.calls.caller import Caller
from remediation.calls.notify import Notify
from remediation.clients import Clients
from remediation.givenup import GivenUp
from remediation.journal import Journal
from remediation.model import Signal, State
from remediation.outside import Outside
from tests.remediation.journal.making import episode, intent
from tests.remediation.receiver.serving import Kept, receiver_of, served

pytestmark = [pytest.mark.engine]

PATIENCE_SECONDS = 60.0


@pytest.fixture(params=LINES)
def line(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def webhook(kept: Kept) -> Iterator[str]:
    with served(receiver_of(kept)) as server:
        yield f"{server.url}/webhook"


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not met():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_a_notice_is_an_alert_and_the_same_notice_the_same_alert(kept: Kept, webhook: str, line: str) -> None:
    labels = {"policy": "p", "target": 'container:"web\n', "action": "restart", "result": "no help"}
    notice = {"through": "alertmanager", "text": "it is ill", "at": 1.0, "labels": labels}
    with Alertmanager(to_webhook(webhook), line=line) as alertmanager:
        caller = Caller({"notify": Notify(lambda: Client(alertmanager.url))})
        for _ in range(2):
            outcome = caller.perform(
                VerbRequest(id="i1.0", verb="notify", target="container:web", arguments=notice)
            )
            assert outcome.result is Result.DONE
        until(lambda: bool(kept.signals))
        assert len(alertmanager.alerts()) == 1
    assert kept.signals[0].labels == {"alertname": "ComposeAgentAction", **labels}
    assert kept.signals[0].annotations == {"summary": "it is ill"}


def test_what_is_given_up_fires_and_resolves(kept: Kept, webhook: str, line: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    made = episode()
    failed = intent(state=State.FAILED, detail="it is ill", ended_at=time.time() - 5)
    journal.write(lambda tx: tx.put_episode(made))
    journal.write(lambda tx: tx.put_intent(failed))
    given_up = GivenUp(journal)
    with Alertmanager(to_webhook(webhook), line=line) as alertmanager:
        client = Client(alertmanager.url)
        given_up.follow(client, wanted=True)
        until(lambda: bool(kept.signals))
        journal.write(lambda tx: tx.put_episode(msgspec.structs.replace(made, closed_at=time.time())))
        given_up.follow(client, wanted=True)
        until(lambda: len(kept.signals) == 2)
    journal.close()
    fired, resolved = kept.signals
    assert (fired.name, fired.firing, resolved.firing) == ("ComposeAgentGaveUp", True, False)
    assert fired.starts_at == resolved.starts_at == pytest.approx(failed.ended_at, abs=0.01)


def test_what_fired_before_the_start_is_the_same_as_by_webhook(kept: Kept, webhook: str, line: str) -> None:
    taken: list[Signal] = []
    with Alertmanager(to_webhook(webhook), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A", name='größe "\\\n'), alert("B", name="web")])
        Client(alertmanager.url).raise_alert({"alertname": "ComposeAgentGaveUp"}, {})
        until(lambda: len(kept.signals) == 3)
        outside = Outside(Clients(Client(alertmanager.url)), taken.extend)
        outside.start()
        until(lambda: len(taken) == 2)
        outside.stop()
    by_webhook = {(each.fingerprint, each.starts_at) for each in kept.signals if each.name in "AB"}
    assert {(each.fingerprint, each.starts_at) for each in taken} == by_webhook
