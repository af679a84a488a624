"""Alerts for what is beyond help, against a server that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from lab.receiver import ScriptedReceiver
from remediation.alertmanager import Alertmanager, AlertmanagerError
from remediation.givenup import GivenUp
from remediation.journal import Journal
from remediation.model import Episode, State
from tests.remediation.journal.making import SHOP_WEB, episode, intent

START = 1_750_000_000.0


class Rig:
    """A journal, a receiver, and a clock that is turned by hand."""

    def __init__(self, journal: Journal, receiver: ScriptedReceiver) -> None:
        self.journal = journal
        self.receiver = receiver
        self.now = START
        self.alertmanager = Alertmanager(receiver.url.removesuffix("/webhook"))
        self.restart()

    def restart(self) -> None:
        """Forget what is not on disk."""
        self.given_up = GivenUp(self.journal, lambda: self.now)

    def fail(self, name: str = "e1", **more: Any) -> Episode:
        """Have an episode in which nothing has helped."""
        made = episode(name, **more)
        failed = intent(
            f"i-{name}", episode=name, state=State.FAILED, detail="web is unhealthy", ended_at=START - 10
        )
        self.journal.write(lambda tx: tx.put_episode(made))
        self.journal.write(lambda tx: tx.put_intent(failed))
        return made

    def close(self, made: Episode) -> None:
        """End an episode."""
        self.journal.write(lambda tx: tx.put_episode(msgspec.structs.replace(made, closed_at=self.now)))

    def told(self, *, wanted: bool = True) -> list[dict[str, Any]]:
        """Return the alerts that are told of in one round, by their policies."""
        before = len(self.receiver.posts)
        self.given_up.follow(self.alertmanager, wanted=wanted)
        bodies: list[Any] = [post.body for post in self.receiver.posts[before:]]
        alerts: list[dict[str, Any]] = [alert for body in bodies for alert in body]
        return sorted(alerts, key=lambda alert: str(alert["labels"]["policy"]))


@pytest.fixture
def rig(journal: Journal) -> Iterator[Rig]:
    with ScriptedReceiver() as receiver:
        yield Rig(journal, receiver)


def ends(alert: dict[str, Any]) -> float:
    return datetime.fromisoformat(alert["endsAt"]).timestamp()


def test_what_is_given_up_is_raised_until_its_episode_ends(rig: Rig) -> None:
    assert rig.told() == []
    made = rig.fail()
    (alert,) = rig.told()
    assert alert["labels"] == {
        "alertname": "ComposeAgentGaveUp",
        "policy": "mend",
        "target": "container:shop-web-1",
        "action": "restart",
        "alert": "ContainerUnhealthy",
    }
    assert "compose-agent why shop-web-1" in alert["annotations"]["description"]
    assert datetime.fromisoformat(alert["startsAt"]).timestamp() == START - 10
    assert ends(alert) == START + 300
    assert rig.told() == []
    rig.now += 61
    (repeated,) = rig.told()
    assert (repeated["labels"], ends(repeated)) == (alert["labels"], rig.now + 300)
    rig.close(made)
    (resolved,) = rig.told()
    assert (resolved["labels"], ends(resolved)) == (alert["labels"], rig.now)
    assert rig.told() == []


def test_a_ladder_that_goes_on_is_not_given_up(rig: Rig) -> None:
    rig.fail()
    rig.told()
    rig.journal.write(lambda tx: tx.put_intent(intent("again", state=State.EXECUTING)))
    (resolved,) = rig.told()
    assert ends(resolved) == rig.now


def test_what_ended_while_this_agent_was_away_is_resolved(rig: Rig) -> None:
    one, _ = rig.fail(), rig.fail("e2", policy="other", target=SHOP_WEB)
    assert len(rig.told()) == 2
    rig.close(one)
    rig.restart()
    rig.now += 20
    resolved, repeated = rig.told()
    assert [each["labels"]["policy"] for each in (resolved, repeated)] == ["mend", "other"]
    assert (ends(resolved), ends(repeated)) == (rig.now, rig.now + 300)


def in_between(rig: Rig, turn: Callable[[], None]) -> None:
    rig.receiver.answer(503)
    with pytest.raises(AlertmanagerError, match="503"):
        rig.told()
    turn()
    rig.receiver.answer(200)


def test_who_could_not_be_told_is_told_as_soon_as_it_can_be(rig: Rig) -> None:
    made = rig.fail()
    in_between(rig, lambda: None)
    (alert,) = rig.told()
    assert ends(alert) == START + 300
    rig.close(made)
    in_between(rig, rig.restart)
    (resolved,) = rig.told()
    assert ends(resolved) == START


def test_who_is_not_to_be_told_any_more_gets_an_end(rig: Rig) -> None:
    rig.fail()
    assert len(rig.told()) == 1
    (resolved,) = rig.told(wanted=False)
    assert ends(resolved) == START
    assert rig.told(wanted=False) == []
