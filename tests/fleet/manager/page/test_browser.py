"""The manager's pages in a real browser: live by pushed events, by keys, on a phone, and when it is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.fleet.manager.people.asking import PASSWORD
from tests.fleet.manager.serving import HandAgent, Manager, serving

PATIENCE_MS = 60_000
PHONE = ViewportSize(width=360, height=740)

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path, expect="absent") as running:
        yield running


@pytest.fixture
def page(browser: Browser, manager: Manager) -> Iterator[Page]:
    """Open the table; whatever a page fetches or complains of has to be its own."""
    complaints: list[str] = []
    asked: list[str] = []
    context = browser.new_context(base_url=manager.url)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto("/")
    yield page
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{os.environ['PYTEST_CURRENT_TEST'].split('::')[1].split()[0]}.png")
    context.close()
    assert [url for url in asked if not url.startswith(manager.url)] == []
    assert complaints == []


def come(manager: Manager, *names: str) -> list[HandAgent]:
    agents = [HandAgent(manager, name, host_name=f"host-{name}", host_ip="10.0.0.7") for name in names]
    for agent in agents:
        agent.say(described=True)
    return agents


def logged_in(browser: Browser, manager: Manager, name: str, then: str) -> Page:
    """Return the page ``then`` after somebody has logged in; its context is to be closed."""
    context = browser.new_context(base_url=manager.url)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"/login?{urlencode({'next': then})}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    return page


def test_nodes_come_and_go_without_a_question(page: Page, manager: Manager) -> None:
    expect(page.locator("#live")).to_contain_text("live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    (agent,) = come(manager, "web-1")
    row = page.locator("tbody tr", has_text="web-1")
    expect(row).to_contain_text("online")
    agent.connection.close()
    expect(row).to_contain_text("offline")
    assert asked == []


def test_what_is_typed_and_focused_stays_while_the_page_changes(page: Page, manager: Manager) -> None:
    come(manager, "web-1", "db-1")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("searchbox").fill("web")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.url.endswith("?q=web")
    come(manager, "web-2")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.get_by_role("searchbox").input_value() == "web"
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_a_node_is_found_and_left_by_keys_alone(page: Page, manager: Manager) -> None:
    come(manager, "web-1", "web-2")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.keyboard.press("/")
    page.keyboard.type("web-2")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("web-2")
    expect(page.get_by_role("button", name="Keys")).to_be_visible()  # its script has run
    page.keyboard.press("u")
    expect(page.locator("h1")).to_have_text("Nodes")


def test_keys_are_listed_and_can_be_switched_off(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Single keys do this").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    page.goto("/")
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_hidden()


def test_paused_means_paused_until_it_goes_on(page: Page, manager: Manager) -> None:
    page.keyboard.press("p")
    expect(page.locator("#live")).to_contain_text("paused")
    come(manager, "web-1")
    page.wait_for_timeout(3000)
    expect(page.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("p")
    expect(page.locator("tbody tr")).to_have_count(2)


def test_nothing_is_wider_than_a_phone(page: Page, manager: Manager) -> None:
    come(manager, "a-node-with-quite-a-long-name-for-such-a-screen", "web-1")
    page.set_viewport_size(PHONE)
    for path in ("/", "/node?id=web-1"):
        page.goto(path)
        expect(page.locator("#live")).to_contain_text("live")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def test_a_page_whose_manager_is_gone_says_so_and_goes_on_when_it_is_back(
    browser: Browser, tmp_path: Path
) -> None:
    with serving(tmp_path) as first:
        come(first, "web-1")
        address = first.url.rpartition("/")[2]
        page = browser.new_page()
        page.goto(first.url)
        expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#lost")).to_contain_text("The manager has not answered since")
    with serving(tmp_path, **{"web.listen_address": address}):
        expect(page.locator("#lost")).to_be_hidden()
        expect(page.locator("tbody tr")).to_contain_text("web-1")
    page.close()
