"""The page in a real browser: live, by its buttons and keys, on a phone, and when the agent is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from playwright.sync_api import Browser, HttpCredentials, Page, ViewportSize, expect

from compose_agent.web.webfile import WebConfigFile
from remediation.journal import FREEZE_FLAG, Journal
from remediation.model import Reason, State
from remediation.page.rights import Rules
from tests.remediation.journal.making import episode, intent
from tests.remediation.page.browsing import served

REACHABLE = Rules(reachable=True, insecure=False)
PATIENCE_MS = 60_000
PHONE = ViewportSize(width=360, height=740)

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> WebConfigFile:
    secret = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    path: Path = tmp_path_factory.mktemp("web") / "web.yml"
    path.write_text(f"basic_auth_users:\n  ann: {secret}\n")
    return WebConfigFile(path)


@pytest.fixture
def page(browser: Browser, journal: Journal, web: WebConfigFile) -> Iterator[Page]:
    """Open the page as the user ann; whatever it fetches or complains of has to be its own."""
    complaints: list[str] = []
    asked: list[str] = []
    ann = HttpCredentials(username="ann", password="secret")
    with served(journal, rules=REACHABLE, web=web) as port:
        home = f"http://127.0.0.1:{port}/"
        context = browser.new_context(base_url=home, http_credentials=ann)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto("/")
        yield page
        context.close()
    assert [url for url in asked if not url.startswith(home)] == []
    assert complaints == []


def asks_for_approval(journal: Journal) -> None:
    wanted = intent("abc1", reason=Reason.APPROVAL, not_before=time.time() + 600, created_at=time.time())
    journal.write(lambda tx: tx.put_episode(episode()))
    journal.write(lambda tx: tx.put_intent(wanted))


def test_what_waits_appears_by_itself_and_typed_text_stays(page: Page, journal: Journal) -> None:
    expect(page.locator("#live")).to_contain_text("live")
    page.locator("#freeze summary").click()
    page.locator("#freeze [name=why]").fill("a migration")
    asks_for_approval(journal)
    expect(page.locator("#wait-abc1")).to_contain_text("shop-web-1")
    assert page.locator("#freeze [name=why]").input_value() == "a migration"
    expect(page.locator("#freeze")).to_have_attribute("open", "")


def test_approved_by_a_click_in_the_name_of_who_clicked(page: Page, journal: Journal) -> None:
    asks_for_approval(journal)
    page.locator("#wait-abc1 [name=why]").fill("after the backup")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#wait-abc1")).to_have_count(0)
    approved = journal.read(lambda view: view.intent("abc1"))
    assert approved is not None
    assert approved.reason is not Reason.APPROVAL
    entries = journal.read(lambda view: view.entries(0, 99))
    assert any("ann" in str(each.fields) and "after the backup" in str(each.fields) for each in entries)


def test_denied_by_a_click(page: Page, journal: Journal) -> None:
    asks_for_approval(journal)
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("#wait-abc1")).to_have_count(0)
    denied = journal.read(lambda view: view.intent("abc1"))
    assert denied is not None
    assert denied.state is State.SUPPRESSED


def test_frozen_and_thawed_by_keyboard_alone(page: Page, journal: Journal) -> None:
    page.locator("#freeze summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("night shift")
    page.keyboard.press("Enter")
    expect(page.locator("#frozen")).to_contain_text("night shift")
    assert journal.read(lambda view: view.flag(FREEZE_FLAG))
    page.get_by_role("button", name="Thaw").press("Enter")
    expect(page.locator("#frozen")).to_have_count(0)
    assert not journal.read(lambda view: view.flag(FREEZE_FLAG))


def test_why_is_asked_in_the_search_field(page: Page, journal: Journal) -> None:
    asks_for_approval(journal)
    page.get_by_role("searchbox").first.fill("shop-web-1")
    page.get_by_role("searchbox").first.press("Enter")
    expect(page.locator("main")).to_contain_text("ContainerUnhealthy")
    assert "/why?word=shop-web-1" in page.url


def test_nothing_is_wider_than_a_phone(page: Page, journal: Journal) -> None:
    asks_for_approval(journal)
    page.set_viewport_size(PHONE)
    for path in ("/", "/why?word=shop-web-1"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_page_whose_agent_is_gone_says_so(browser: Browser, journal: Journal) -> None:
    with served(journal) as port:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#lost")).to_contain_text("has not answered since")
    page.close()
