from __future__ import annotations

from typing import Any

import msgspec
import pytest

from remediation.history import ActionRow
from remediation.overview import BreakerRow, BudgetRow, Overview
from remediation.page.asked import Asked
from remediation.page.present import Held, Page, present
from remediation.why import Account
from remediation.why import Line as Sentence

NOW = 1_750_000_000.0


def row(id: str = "i1", **other: Any) -> ActionRow:
    values: dict[str, Any] = dict.fromkeys(("reason", "detail", "fingerprint", "approved_by"), "") | {
        "state": "planned", "action": "restart", "target": "container:web", "policy": "mend", "alert": "Down",
        "episode": "e1", "rung": 0, "dry_run": False, "alert_started_at": NOW - 90, "created_at": NOW - 60,
        "not_before": 0.0, "started_at": 0.0, "acted_at": 0.0, "ended_at": 0.0,
    }  # fmt: skip
    return ActionRow(id=id, **(values | other))


ASKS = row(reason="approval", detail="compose-agent approve i1")
BREAKER = BreakerRow(policy="mend", target="container:web", state="open", failures=3, until=NOW + 300)

SPENT = BudgetRow(budget="target:mend:container:web", left=0.0, count=3, seconds=600.0, next_at=NOW + 200)


def overview(**other: Any) -> Overview:
    values: dict[str, Any] = {"at": NOW, "host": "box", "heartbeat_at": NOW, "reasons": [], "engine": "",
                              "journal": "", "outside": "", "policies": ["mend"]}  # fmt: skip
    return Overview(**(values | other))


def page(found: Overview, asked: Asked | None = None, *rows: ActionRow, **other: Any) -> Page:
    return present(found, asked or Asked(), rows, other.get("account"))


@pytest.mark.parametrize(
    ("other", "level", "verdict"),
    [
        ({}, "ok", "All is well, and nothing is to be done"),
        ({"live_count": 1}, "ok", "All is well; 1 action under way"),
        ({"breakers": [BREAKER]}, "warn", "1 target left alone for a while: actions did not help"),
        ({"dry_run": True}, "warn", "Dry run: decisions are written down, nothing is done"),
        ({"approvals": 2, "dry_run": True}, "warn", "2 actions for you to approve or deny"),
        ({"given_up": [row()], "approvals": 2}, "bad", "1 alert to look after by hand"),
        ({"frozen": "frozen by ann", "given_up": [row()]}, "bad", "Frozen: nothing is begun"),
        ({"reasons": ["no Engine"], "frozen": "by ann"}, "bad", "Alerts do not become actions"),
        ({"journal": "the disk is full"}, "bad", "Alerts do not become actions"),
    ],
)
def test_the_worst_is_said_first(other: dict[str, Any], level: str, verdict: str) -> None:
    found = page(overview(**other))
    assert (found.level, found.verdict) == (level, verdict)


@pytest.mark.parametrize(
    ("other", "title"),
    [
        ({}, "Remediation · box"),
        ({"host": ""}, "Remediation · this host"),
        ({"approvals": 2}, "(2) Remediation · box"),
        ({"frozen": "by ann", "approvals": 2}, "! Remediation · box"),
    ],
)
def test_a_tab_in_the_background_says_that_somebody_is_needed(other: dict[str, Any], title: str) -> None:
    assert page(overview(**other)).title == title


def test_what_waits_for_a_person_stands_apart_from_what_is_under_way() -> None:
    found = page(overview(live=[ASKS, row("i2", state="executing", started_at=NOW - 5)], live_count=5))
    assert [each.id for each in found.approvals] == ["i1"]
    assert [each.id for each in found.live] == ["i2"]
    assert found.not_shown == 3


@pytest.mark.parametrize(
    ("other", "wait", "following"),
    [
        ({}, "1 min", ""),
        ({"not_before": NOW + 1}, "1 min", ""),
        ({"not_before": NOW + 40.5}, "1 min", "40 s"),
        ({"state": "executing", "started_at": NOW - 5, "not_before": NOW + 40}, "5 s", ""),
        ({"state": "verifying", "started_at": NOW - 5, "acted_at": NOW - 3}, "3 s", ""),
        ({"state": "of another version"}, "1 min", ""),
        ({"created_at": NOW + 60}, "0 s", ""),
    ],
)
def test_it_is_said_how_long_something_waits(other: dict[str, Any], wait: str, following: str) -> None:
    (line,) = page(overview(live=[row(**other)])).live
    assert (line.wait, line.next) == (wait, following)


@pytest.mark.parametrize(
    ("other", "reason", "because"),
    [
        ({"reason": "not_opted_in", "detail": "web has no label"}, "not opted in", "web has no label"),
        ({"reason": "recovered"}, "recovered", "the target is well again"),
        ({"detail": "web is well"}, "", "web is well"),
        ({}, "", ""),
        ({"reason": "of another version"}, "of another version", "of another version"),
    ],
)
def test_why_is_the_detail_or_what_the_reason_means(other: dict[str, Any], reason: str, because: str) -> None:
    (line,) = page(overview(), None, row(**other)).history
    assert (line.reason, line.because) == (reason, because)


def test_the_open_row_has_its_account_and_a_link_that_closes_it() -> None:
    account = Account(heading="h", lines=[Sentence(NOW, "It was done.")], outcome="It helped.", remedy="rest")
    first, second = page(
        overview(), Asked(state="done", open="i2"), row(), row("i2"), account=account
    ).history
    assert (first.told, first.href) == (None, "?state=done&open=i1")
    assert second.told is not None
    assert second.told.lines == [("2025-06-15 15:06:40 UTC", "It was done.")]
    assert (second.told.outcome, second.told.remedy, second.href) == ("It helped.", "rest", "?state=done")


def test_breakers_and_spent_budgets_are_said_with_their_end() -> None:
    found = page(
        overview(
            breakers=[
                BREAKER,
                msgspec.structs.replace(BREAKER, state="half_open", failures=1, target="service:shop/web"),
            ],
            budgets=[
                SPENT,
                msgspec.structs.replace(SPENT, budget="service:mend:shop/web"),
                BudgetRow(budget="host", left=5.5, count=20, seconds=600.0, next_at=NOW),
            ],
        )
    )
    assert [(each.what, each.state, each.why) for each in found.held] == [
        ("container web, policy mend", "breaker open",
         "3 actions in a row did not help; a trial is made in 5 min"),
        ("service shop/web, policy mend", "breaker half open",
         "1 action in a row did not help; one trial is let through"),
        ("container web, policy mend", "budget spent", "3/10m; the next action in 3 min"),
        ("service shop/web, policy mend", "budget spent", "3/10m; the next action in 3 min"),
    ]  # fmt: skip
    assert len({each.id for each in found.held}) == len(found.held)
    assert isinstance(found.held[0], Held)
    (tile,) = found.budgets
    assert (tile.label, tile.value, tile.note) == ("Left for this host", "5", "of 20 in 10 min")


@pytest.mark.parametrize(
    ("other", "label", "value", "level"),
    [
        ({}, "Engine", "answers", "ok"),
        ({"engine": "no Engine"}, "Engine", "away", "bad"),
        ({}, "Journal", "on disk", "ok"),
        ({"journal": "full"}, "Journal", "not writable", "bad"),
        ({}, "Last decided", "just now", "ok"),
        ({"heartbeat_at": NOW - 90}, "Last decided", "1 min ago", "warn"),
        ({}, "Alerts in the inbox", "0", "ok"),
        ({"inbox": 7}, "Alerts in the inbox", "7", "warn"),
    ],
)
def test_tiles_say_what_works(other: dict[str, Any], label: str, value: str, level: str) -> None:
    tiles = {each.label: each for each in page(overview(**other)).tiles}
    assert (tiles[label].value, tiles[label].level) == (value, level)


def test_more_is_offered_while_there_may_be_more() -> None:
    assert page(overview(), Asked(rows=1), row()).more == "?rows=500"
    assert page(overview(), Asked(rows=2), row()).more == ""


def test_a_policy_that_is_gone_can_still_be_asked_for() -> None:
    assert page(overview(), Asked(policy="gone")).policies == ["gone", "mend"]
