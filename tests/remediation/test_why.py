from __future__ import annotations

from typing import Any

import msgspec
import pytest

from compose_agent.typed import from_json
from remediation.journal import FREEZE_FLAG, Entry, Journal, Tx
from remediation.model import Reason, State
from remediation.narration import sentence
from remediation.reasons import MEANINGS
from remediation.why import Account, Evidence, account_of, explain, gather
from tests.remediation.journal.making import episode, intent, signal

IDS = {"episode": "e1", "intent": "i1"}
PLANNED = {
    "decision": "planned",
    "policy": "mend",
    "target": "container:shop-web-1",
    "action": "restart",
    "alert": "ContainerUnhealthy",
}


def tell(journal: Journal, word: str) -> list[Account]:
    evidence = journal.read(lambda view: gather(view, word))
    return explain(evidence, {"mend"}, 2000.0)


def texts(account: Account) -> list[str]:
    return [line.text for line in account.lines]


def planned(tx: Tx, **other: Any) -> None:
    tx.put_episode(episode("e1"))
    tx.put_intent(intent("i1", **other))
    tx.audit("decided", {**IDS, "fingerprint": "f1"}, PLANNED)


@pytest.mark.parametrize("word", ["f1", "ContainerUnhealthy", "shop-web-1", "shop/web", "e1", "i1"])
def test_the_whole_story_is_told_whatever_it_is_asked_by(journal: Journal, word: str) -> None:
    def act(tx: Tx) -> None:
        tx.audit("decided", IDS, {"decision": "acts", "action": "restart"})
        tx.audit("acted", IDS, {"action": "restart", "target": "container:shop-web-1", "result": "done"})
        tx.audit("verified", IDS, {"helped": True, "detail": "shop-web-1 is well since 10 s"})
        tx.put_intent(intent("i1", state=State.DONE, detail="shop-web-1 is well since 10 s"))

    journal.receive([signal("f1"), signal("other", name="HostDown", labels={})])
    journal.write(planned)
    journal.receive([signal("f1"), signal("f1")])
    journal.write(act)
    journal.receive([signal("f1", firing=False)])
    (account,) = tell(journal, word)
    assert account.heading == "ContainerUnhealthy: policy mend, container:shop-web-1"
    assert texts(account) == [
        "ContainerUnhealthy fires since 1970-01-01 00:16:40 UTC (alertmanager).",
        "Policy mend plans a restart of container:shop-web-1.",
        "ContainerUnhealthy fires since 1970-01-01 00:16:40 UTC (alertmanager).",
        "The same was said once more until now.",
        "Every rule and budget lets it go: the restart begins.",
        "The restart of container:shop-web-1: it was done.",
        "It helped: shop-web-1 is well since 10 s.",
        "ContainerUnhealthy resolved (alertmanager).",
    ]
    assert account.outcome == "The restart of container:shop-web-1 helped: shop-web-1 is well since 10 s."
    assert account.remedy == ""


def test_a_fail_over_is_told_by_its_group_and_by_each_who_took_part(journal: Journal) -> None:
    labels = {"failover_group": "shop/db", "name": "db"}
    about = {**IDS, "group": "shop/db", "container": "spare"}
    said = {"action": "start", "target": "container:spare", "result": "done", "detail": "it takes over"}
    journal.receive([signal("f1", name="FailoverDue", labels=labels)])
    journal.write(planned)
    journal.write(lambda tx: tx.audit("acted", about, said))
    for word in ("shop/db", "db", "spare"):
        (account,) = tell(journal, word)
        assert texts(account)[-1] == "The start of container:spare: it was done: it takes over."


def test_an_alert_without_an_episode_has_an_account_with_a_remedy(journal: Journal) -> None:
    journal.receive([signal("f1")])
    (account,) = tell(journal, "f1")
    assert account.outcome == "Nothing is decided about it yet."
    decision = {"decision": "not_allowed", "detail": "only 'db.*'", "policy": "mend"}
    journal.write(lambda tx: tx.audit("decided", {"fingerprint": "f1"}, decision))
    (account,) = tell(journal, "ContainerUnhealthy")
    assert account.heading == "ContainerUnhealthy (f1)"
    assert texts(account)[-1] == (
        "Nothing is done by policy mend, because the policy may not touch this target: only 'db.*'."
    )
    assert account.outcome == "Nothing was done, because the policy may not touch this target."
    assert account.remedy == "let the policy's target allow it, if it should"


def test_of_what_nobody_knows_there_is_no_account(journal: Journal) -> None:
    journal.receive([signal("f1")])
    assert tell(journal, "nobody") == []
    assert tell(journal, "") == []


def test_each_episode_has_its_own_account(journal: Journal) -> None:
    def again(tx: Tx) -> None:
        tx.put_episode(episode("e1", closed_at=1.0, close_reason="resolved"))
        tx.put_intent(intent("i1", state=State.SUPPRESSED, reason="resolved", detail="it resolved"))
        tx.put_episode(episode("e2", policy="other"))
        tx.put_intent(intent("i2", episode="e2", policy="other"))

    journal.write(planned)
    journal.write(again)
    first, second = tell(journal, "f1")
    assert first.outcome.startswith("Nothing was done, because the alert resolved before")
    assert second.heading.startswith("ContainerUnhealthy: policy other (not in force any more)")
    assert second.outcome == "The restart of container:shop-web-1 waits for its turn."
    ids = ("e1", "e2", "e3")
    alone = journal.read(lambda view: [account_of(view, each, {"mend"}, 2000.0) for each in ids])
    assert alone == [first, second, None]


WAITING = {"state": State.PLANNED, "reason": Reason.BUDGET, "detail": "none left", "not_before": 2060.0}


@pytest.mark.parametrize(
    ("changes", "outcome", "remedy"),
    [
        (
            WAITING,
            "waits, because a budget is spent: none left, and is looked at again at 1970-01-01 00:34:20 UTC.",
            "find out why so much is to be done",
        ),
        (
            {**WAITING, "not_before": 2001.0, "reason": Reason.APPROVAL},
            "waits, because the policy wants a person's approval: none left.",
            "say 'compose-agent approve i1', or 'compose-agent deny i1'",
        ),
        ({"state": State.EXECUTING, "started_at": 1990.0}, "has been under way for 10 s.", ""),
        ({"state": State.VERIFYING}, "was done; whether it helped is not known yet.", ""),
        (
            {"state": State.FAILED, "detail": "web is unhealthy"},
            "did not help: web is unhealthy. Nothing more is tried while the alert stays as it is.",
            "look for the cause in the log",
        ),
    ],
)
def test_the_outcome_says_how_it_stands(
    journal: Journal, changes: dict[str, Any], outcome: str, remedy: str
) -> None:
    journal.write(lambda tx: planned(tx, **changes))
    (account,) = tell(journal, "i1")
    assert account.outcome == f"The restart of container:shop-web-1 {outcome}"
    assert account.remedy.startswith(remedy)
    assert bool(account.remedy) == bool(remedy)


def test_while_everything_is_frozen_that_is_what_helps(journal: Journal) -> None:
    journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, "frozen by ann"))
    journal.write(lambda tx: planned(tx, **WAITING))
    assert tell(journal, "i1")[0].remedy == "let it go on with 'compose-agent thaw'"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_said_in_a_sentence(reason: Reason) -> None:
    suppressed = intent("i1", state=State.SUPPRESSED, reason=reason, detail="because")
    evidence = Evidence([episode("e1")], {"e1": [suppressed]})
    (account,) = explain(evidence, {"mend"}, 2000.0)
    assert account.outcome.startswith("Nothing was done, because ")
    assert account.outcome.endswith(f"{MEANINGS[reason].words}.")
    waits = entry("decided", {"decision": "waits", "reason": reason})
    assert sentence(waits).startswith("It has to wait, because ")


def entry(kind: str, fields: dict[str, Any]) -> Entry:
    return Entry(seq=1, at=0.0, kind=kind, subjects={}, fields=fields, hash="")


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("verified", {"detail": "gone", "next": "recreate"}, "It did not help: gone. Next is recreate."),
        ("verified", {"detail": "gone", "next": ""}, "It did not help: gone. Given up."),
        ("acted", {"action": "stop", "target": "t", "result": "failed"}, "The stop of t: it failed."),
        ("frozen", {"by": "ann", "why": "a move"}, "All remediation was frozen by ann: a move."),
        ("thawed", {"by": "ann", "why": ""}, "Remediation was thawed by ann."),
        ("approved", {"by": "ann"}, "It was approved by ann."),
        ("denied", {"by": "ann"}, "It was denied by ann."),
        ("cut", {"through": 7}, "The audit was cut up to entry 7, because it is old."),
        ("something-new", {"a": 1}, "something-new: a 1"),
        ("acted", {}, "The None of None: None."),
    ],
)
def test_entries_are_sentences(kind: str, fields: dict[str, Any], said: str) -> None:
    assert sentence(entry(kind, fields)) == said


def test_an_account_travels_as_json(journal: Journal) -> None:
    journal.write(planned)
    accounts = tell(journal, "i1")
    assert from_json(msgspec.json.encode(accounts), list[Account]) == accounts
