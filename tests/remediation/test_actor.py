"""Who is given which request."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, Standing, VerbRequest
from remediation.actor import ByVerb, Hands, broker_hands, calling_hands


@dataclass
class Note:
    """An actor that notes what it is asked."""

    verbs: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def perform(self, request: VerbRequest) -> Outcome:
        """Note it."""
        self.verbs.append(request.verb)
        return Outcome(result=Result.DONE)

    def standing(self, request_id: str) -> Standing:
        """Return that it has ended."""
        return Standing.ENDED if request_id == "i1.0" else Standing.UNKNOWN


def request(verb: str) -> VerbRequest:
    return VerbRequest(id="i1.0", verb=verb, target="t")


def test_each_request_goes_to_whoever_has_its_verb() -> None:
    calls, rest = Note(), Note()
    actor = ByVerb({"http": calls}, rest)
    for verb in ("restart", "http", "no such verb"):
        assert actor.perform(request(verb)).result is Result.DONE
    assert (calls.verbs, rest.verbs) == (["http"], ["restart", "no such verb"])
    assert (actor.standing("i1.0"), actor.standing("other")) == (Standing.ENDED, Standing.UNKNOWN)


def test_who_calls_others_lets_go_with_the_rest() -> None:
    rest = Note()
    hands = calling_hands(
        Hands(rest, lambda: rest.ended.append("let go"), lambda: rest.ended.append("closed")), lambda: None
    )
    hands.actor.perform(request("restart"))
    failed = hands.actor.perform(VerbRequest(id="i1.0", verb="notify", target="t", arguments=NOTICE))
    assert (failed.result, rest.verbs) == (Result.FAILED, ["restart"])
    hands.let_go()
    hands.close()
    assert rest.ended == ["let go", "closed"]


NOTICE = {"through": "alertmanager", "text": "x", "at": 1.0, "labels": {}}


def test_a_broker_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    hands = broker_hands(tmp_path / "act.sock")
    with pytest.raises(ActorUnavailable, match=r"act\.sock"):
        hands.actor.perform(request("restart"))
    hands.let_go()
    hands.close()
