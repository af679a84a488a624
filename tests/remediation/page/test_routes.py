"""The page over HTTP: what it shows, what it escapes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import compose_agent.web.page as shared
import remediation.page
from remediation.guard.breaker import Breaker
from remediation.journal import FREEZE_FLAG, Journal, Tx
from remediation.model import Reason, State, Target, TargetKind
from remediation.page.rights import Rules
from remediation.page.routes import MOST_LOOKED_AT
from tests.remediation.journal.making import episode, intent, signal
from tests.remediation.page.browsing import Html, Person, served

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "</title></section><form action=//evil.example>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&#60;b",
    "a\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe\N{ZERO WIDTH JOINER}",
    "日本 🚒 ünïcode \x00\x1b[31m\r\n",
)  # fmt: skip

TEMPLATES = [Path(folder).parent / "templates" for folder in (remediation.page.__file__, shared.__file__)]
OUR_TAGS = {
    tag
    for folder in TEMPLATES
    for file in folder.iterdir()
    for tag in re.findall("<([a-z][a-z0-9]*)", file.read_text())
}


def put(journal: Journal, id: str, name: str = "", **other: Any) -> None:
    """Write an intent in an episode of its own."""
    text = name or "shop-web-1"
    target = Target(TargetKind.CONTAINER, text)
    about = {"policy": name or "mend", "target": target}
    opened = episode(f"e-{id}", fingerprint=f"f-{id}", alert=name or "ContainerUnhealthy", **about)
    now = time.time()
    other = {"created_at": now - 90, "not_before": now - 90, **about, **other}
    journal.write(lambda tx: tx.put_episode(opened))
    journal.write(lambda tx: tx.put_intent(intent(id, episode=f"e-{id}", **other)))


def fill(journal: Journal, number: int) -> None:
    """Write so many intents that have ended."""

    def work(tx: Tx) -> None:
        for each in range(number):
            tx.put_intent(intent(f"n{each}", episode=f"e{each}", state=State.DONE))

    journal.write(work)


@pytest.fixture
def person(journal: Journal) -> Iterator[Person]:
    """Return somebody on this host whom nobody knows."""
    with served(journal) as port:
        yield Person(port)


def test_a_quiet_night_is_one_sentence(person: Person) -> None:
    answer = person.get()
    text = answer.page.text
    assert answer.status == 200
    for said in ("Remediation on box", "All is well, and nothing is to be done", "Nothing is under way",
                 "20 of 20 in 10 min", "Nothing was done or planned yet", "Freeze everything"):  # fmt: skip
        assert said in text


def test_everything_that_goes_on_is_shown(person: Person, journal: Journal) -> None:
    put(journal, "aaa1", "asks", reason=Reason.APPROVAL, detail="compose-agent approve aaa1")
    put(journal, "bbb2", "waits", reason=Reason.BUDGET, detail="the budget of host is spent")
    put(journal, "ccc3", "acts", state=State.EXECUTING, started_at=time.time() - 5)
    put(
        journal,
        "ddd4",
        "failed",
        state=State.FAILED,
        detail="failed is unhealthy",
        started_at=9.0,
        acted_at=12.0,
    )
    journal.write(lambda tx: tx.put_breaker("mend:container:tired", Breaker(3, time.time())))
    page = person.look()
    ids = page.ids
    for wanted in ("wait-aaa1", "live-bbb2", "live-ccc3", "over-ddd4", "i-aaa1", "i-ddd4"):
        assert wanted in ids
    assert len(ids) == len(set(ids))
    for said in ("1 alert to look after by hand", "waits for 1 min", "the budget of host is spent",
                 "container tired, policy mend", "breaker open", "failed in 3 s",
                 "compose-agent approve aaa1"):  # fmt: skip
        assert said in page.text
    assert {"approve", "deny", "thaw"}.isdisjoint(page.actions)


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ({"reasons": ("no Engine at unix:///x",), "engine": "no Engine"}, "no Engine at unix:///x"),
        ({"outside": "no Alertmanager at http://x"}, "no Alertmanager at http://x"),
    ],
)
def test_what_is_wrong_is_said(journal: Journal, health: dict[str, Any], said: str) -> None:
    with served(journal, **health) as port:
        assert said in Person(port).look().text


def test_a_journal_that_is_gone_still_gives_a_page(person: Person, journal: Journal) -> None:
    journal.close()
    assert "Alerts do not become actions" in person.look().text
    assert person.get("/why?word=web").status == 503


def test_history_is_filtered_and_each_row_opens_its_account(person: Person, journal: Journal) -> None:
    journal.receive([signal("f-aaa1")])
    put(journal, "aaa1", state=State.DONE, detail="shop-web-1 is well")
    put(journal, "bbb2", "other", state=State.FAILED)
    subjects = {"episode": "e-aaa1", "intent": "aaa1"}
    journal.write(lambda tx: tx.audit("verified", subjects, {"helped": True, "detail": "it is well"}))
    rows = [each for each in person.look().ids if each.startswith("i-")]
    assert rows == ["i-bbb2", "i-aaa1"]
    for query, shown in (("state=done", "aaa1"), ("target=WEB", "aaa1"), ("policy=other", "bbb2")):
        page = person.look(f"/?{query}")
        assert [each for each in page.ids if each.startswith("i-")] == [f"i-{shown}"]
    assert "No action among the latest matches" in person.look("/?state=done&policy=other").text
    page = person.look("/?open=aaa1&state=done")
    assert "why-aaa1" in page.ids
    assert "It helped: it is well." in page.text
    assert "The restart of container:shop-web-1 helped: shop-web-1 is well." in page.text
    assert any(each.get("href", "").startswith("?state=done#i-aaa1") for _, each in page.tags)
    assert "why-aaa1" not in person.look("/?open=nobody").ids


def test_a_fragment_holds_the_parts_that_change_and_no_frame(person: Person, journal: Journal) -> None:
    put(journal, "aaa1")
    page = person.look("/?fragment=1&state=planned")
    assert [each["id"] for tag, each in page.tags if tag == "section"] == ["now", "history"]
    assert all("data-live" in each for tag, each in page.tags if tag == "section")
    assert not [tag for tag, _ in page.tags if tag in ("html", "script")]


def test_a_long_history_is_shown_in_parts(person: Person, journal: Journal) -> None:
    fill(journal, 60)
    page = person.look("/?state=done")
    assert sum(each.startswith("i-") for each in page.ids) == 50
    assert any(each.get("href") == "?state=done&rows=500" for _, each in page.tags)
    assert sum(each.startswith("i-") for each in person.look("/?state=done&rows=500").ids) == 60


def test_a_filter_that_nothing_matches_does_not_read_for_ever(person: Person, journal: Journal) -> None:
    journal.write(lambda tx: tx.put_intent(intent("first", policy="rare", state=State.DONE)))
    fill(journal, MOST_LOOKED_AT)
    assert "i-first" not in person.look("/?policy=rare").ids


def test_why_is_asked_of_anything(person: Person, journal: Journal) -> None:
    journal.receive([signal("f9")])
    subjects = {"fingerprint": "f9", "alert": "ContainerUnhealthy"}
    journal.write(lambda tx: tx.audit("decided", subjects, {"decision": Reason.NO_POLICY}))
    page = person.look("/why?word=%20f9%20")
    assert "Nothing was done, because no policy matches the alert's labels." in page.text
    assert "What helps: write a policy" in page.text
    answer = person.get("/why?word=nobody")
    assert (answer.status, "heard nothing of “nobody”" in answer.page.text) == (404, True)
    assert person.get("/why").status == 200


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_comes_from_outside_becomes_markup(person: Person, journal: Journal, text: str) -> None:
    put(journal, "aaa1", text, reason=Reason.APPROVAL, detail=text)
    put(journal, "bbb2", f"{text}2", state=State.FAILED, detail=text, approved_by=text)
    journal.receive([signal("f-bbb2", name=text, labels={"name": text})])
    journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, text))
    journal.write(lambda tx: tx.put_breaker(f"mend:container:{text}", Breaker(3, time.time())))
    word = quote(text)
    asked = f"/?target={word}&policy={word}&state={word}&open={word}"
    for path in ("/", "/?open=bbb2", "/?fragment=1", asked, f"/why?word={word}", "/why?word=bbb2"):
        answer = person.get(path)
        assert answer.status in (200, 404)
        assert_harmless(answer.page)
        for unseen in "\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH JOINER}\x1b\x00":
            assert unseen not in answer.body
    assert visible(text) in person.look("/?open=bbb2").text


def visible(text: str) -> str:
    """Return what a person sees of a text."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return " ".join(shown.split())


def assert_harmless(page: Html) -> None:
    """Fail for tags, attributes or addresses that no template of ours has."""
    assert {tag for tag, _ in page.tags} <= OUR_TAGS
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "autofocus")]
        for key in ("src", "href", "action", "formaction"):
            address = attributes.get(key, "")
            assert ":" not in address.partition("?")[0], address
            assert not address.startswith("/"), address
        if tag in ("img", "script"):
            assert attributes["src"].startswith("static/")


def test_hostile_names_are_shown_as_they_are(person: Person, journal: Journal) -> None:
    put(journal, "aaa1", '<b>bold</b> & "co"', state=State.DONE)
    assert 'restart of <b>bold</b> & "co"' in person.look().text


def test_the_page_needs_nothing_that_its_policy_forbids(person: Person) -> None:
    answer = person.get()
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Frame-Options"] == "deny"
    assert answer.headers["Cache-Control"] == "no-store"
    page = answer.page
    assert not [each for tag, each in page.tags if "style" in each or tag == "style"]
    assert all(each.get("src") for tag, each in page.tags if tag == "script")
    for tag, each in page.tags:
        if tag in ("link", "script", "img"):
            assert person.get(f"/{each.get('href') or each['src']}").status == 200


@pytest.mark.parametrize("path", ["/v1/overview", "/v1/actions", "/v1/why?word=web"])
def test_questions_are_answered_here_as_well(person: Person, path: str) -> None:
    answer = person.get(path)
    assert answer.status == 200
    json.loads(answer.body)


@pytest.mark.parametrize("path", ["/v1/freeze", "/v1/thaw", "/v1/approve", "/v1/deny"])
def test_what_asks_nobody_who_they_are_is_not_here(person: Person, path: str) -> None:
    assert person.press(path, {"by": "x"}).status == 404
    assert person.ask("POST", path, b'{"by": "x"}', {}).status == 404


@pytest.mark.parametrize("path", ["/", "/why?word=x", "/v1/overview", "/v1/actions", "/v1/why?word=x"])
@pytest.mark.parametrize(
    ("rules", "host"),
    [(Rules(reachable=True, insecure=False), ""), (Rules(reachable=False, insecure=False), "evil.example")],
)
def test_who_may_not_look_is_told_what_it_would_take(
    journal: Journal, path: str, rules: Rules, host: str
) -> None:
    put(journal, "aaa1", "secret-name")
    with served(journal, rules=rules) as port:
        answer = Person(port).get(path, Host=host)
    assert answer.status == 403
    assert "basic_auth_users" in answer.body
    assert "secret-name" not in answer.body
    assert "Set-Cookie" not in answer.headers


def test_the_query_does_not_break_the_page(person: Person) -> None:
    for query in (
        "fragment",
        "state=%00",
        "open=" + "x" * 5000,
        "%",
        "a=b&" * 50,
        "target=%F0%9F",
        "rows=1e9",
    ):
        assert person.get(f"/?{query}").status == 200
