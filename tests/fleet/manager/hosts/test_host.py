"""A host with a real agent tells its manager what runs and what was done on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, expect

from compose_agent.web.response import Response, RouteTable, routed
from fleet.envelopes.host import ActionLine
from tests.fleet.hosting import Host, hosting, metrics_of
from tests.fleet.manager.hosts.test_book import action
from tests.fleet.manager.page.test_browser import PATIENCE_MS, PHONE, logged_in
from tests.fleet.manager.people.asking import person
from tests.fleet.manager.serving import Manager, serving, until

ACTIONS: list[ActionLine] = [action(1)]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def host(manager: Manager, tmp_path: Path) -> Iterator[Host]:
    table: RouteTable = {
        "/v1/actions": {
            "GET": lambda _environ: Response(200, msgspec.json.encode(ACTIONS), "application/json")
        }
    }
    roles = {"exporter": metrics_of(lambda: "x 1\n"), "remediation": routed(table)}
    with ExitStack() as held:
        made = held.enter_context(
            hosting(
                tmp_path / "h1",
                manager.ws,
                "h1",
                roles,
                environment="test",
                tags="blue,web",
                role="manager",
            )
        )
        made.wait_online(manager)
        yield made


def names(manager: Manager) -> set[tuple[str, str]]:
    found = manager.get("/api/v1/nodes/h1/containers").json()
    return {(each["name"], each["state"]) for each in found}


def test_containers_are_told_as_they_come_and_change(manager: Manager, host: Host) -> None:
    host.engine.add_project("shop", {"web": 1})
    until(lambda: names(manager) == {("shop-web-1", "running")})
    host.engine.die("shop-web-1", 3)
    until(lambda: names(manager) == {("shop-web-1", "exited")})
    (found,) = manager.get("/api/v1/nodes/h1/containers").json()
    assert (found["project"], found["service"], found["exit_code"]) == ("shop", "web", 3)


def test_load_and_actions_are_told(manager: Manager, host: Host) -> None:
    until(lambda: manager.nodes()["h1"]["load"])
    load = manager.nodes()["h1"]["load"]
    assert load["processors"] > 0
    assert 0 < load["memory"] < 1
    until(lambda: [each["id"] for each in manager.get("/api/v1/nodes/h1/actions").json()] == ["a1"])
    assert host.name == "h1"


def test_a_host_that_is_away_keeps_what_it_told(manager: Manager, host: Host) -> None:
    host.engine.add_project("shop", {"web": 1})
    until(lambda: names(manager))
    host.role.stop()
    until(lambda: manager.state("h1") == "offline")
    assert names(manager) == {("shop-web-1", "running")}


def test_the_page_of_a_node_shows_them(
    browser: Browser, manager: Manager, host: Host, tmp_path: Path
) -> None:
    host.engine.add_project("shop", {"web": 2, "db": 1})
    page = browser.new_page(base_url=manager.url)
    page.goto("/node?id=h1")
    expect(page.locator("#containers tbody tr")).to_have_count(3, timeout=PATIENCE_MS)
    expect(page.locator("#actions")).to_contain_text("restart container:web", timeout=PATIENCE_MS)
    host.engine.die("shop-db-1", 137)
    row = page.locator("#containers tr", has_text="shop-db-1")
    expect(row).to_contain_text("exited, code 137 (SIGKILL)", timeout=PATIENCE_MS)
    expect(page.locator("#facts")).to_contain_text("2 of 3 run", timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "node.png", full_page=True)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    page.goto("/")
    page.screenshot(path=tmp_path / "phone-table.png", full_page=True)
    page.set_viewport_size({"width": 1400, "height": 700})
    expect(page.locator("tbody tr")).to_contain_text("blue, web", timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "table.png", full_page=True)
    page.close()


def test_the_last_lines_of_a_container_are_a_button_away(
    browser: Browser, manager: Manager, host: Host
) -> None:
    host.engine.add_project("shop", {"web": 1})
    host.engine.write("shop-web-1", "the last line")
    until(lambda: names(manager))
    looker, operator = person(manager, "vera", "viewer", None), person(manager, "olga", "operator", None)
    seen = looker.ask("GET", "/node?id=h1").data.decode()
    assert "shop-web-1" in seen
    assert "Last lines" not in seen
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert looker.ask("POST", "/order", **form).status == 403
    assert operator.ask("GET", "/node?id=h1").status == 200
    page = logged_in(browser, manager, "olga", "node?id=h1")
    page.get_by_role("button", name="Last lines of shop-web-1").click()
    expect(page.locator("#lines")).to_contain_text("the last line", timeout=PATIENCE_MS)
    assert "/command?id=" in page.url
    page.context.close()
