"""The form in which a command is given: who has it, what it gives, what it says of what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from tests.fleet.commanding import ask
from tests.fleet.hosting import Host, hosting
from tests.fleet.manager.page import test_work as work
from tests.fleet.manager.page.test_browser import PATIENCE_MS, PHONE, logged_in
from tests.fleet.manager.page.test_work import STAGING, VIEWER, asked, page
from tests.fleet.manager.people.asking import person
from tests.fleet.manager.serving import Manager, serving, until

manager = work.manager


def give(manager: Manager, **fields: str) -> tuple[int, str]:
    given = {"node": "stage-1", "verb": "restart", "target": "web", "seconds": "60", **fields}
    status, body = asked(manager, "POST", "/order", STAGING, urlencode(given).encode())
    return status, body.decode()


def test_a_form_is_a_command(manager: Manager) -> None:
    assert give(manager, verb="scale", target="shop/web", arguments=" to = 3\r\n\r\nwhy=so = much ")[0] == 303
    assert give(manager, node="", selector='environment="staging"', dry_run="true", seconds="5")[0] == 303
    dry, scale = ask(manager.role, "GET", "/api/v1/commands")[1]["commands"]
    assert (scale["verb"], scale["target"], scale["actor"]) == ("scale", "shop/web", "eve")
    assert (scale["arguments"], scale["dry_run"]) == ({"to": "3", "why": "so = much"}, False)
    assert dry["dry_run"] is True
    assert dry["deadline"] - dry["issued"] == pytest.approx(5)


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"verb": "dance"}, 400, "Invalid enum value"),
        ({"seconds": "0"}, 400, "&gt;= 1.0"),
        ({"seconds": "soon"}, 400, "float"),
        ({"arguments": "three"}, 400, "is no argument: expected name=value"),
        ({"arguments": "=3"}, 400, "is no argument: expected name=value"),
        ({"arguments": "to=3\nto = 4"}, 400, "the argument to is there twice"),
        ({"arguments": "to=" + "3" * 2000}, 400, "length"),
        ({"node": ""}, 400, "expected nodes, or a selector"),
        ({"node": "", "selector": "colour=red"}, 400, "nodes have no"),
        ({"node": "nowhere"}, 404, "there is no node nowhere"),
        ({"node": "prod-1"}, 404, "there is no node prod-1"),
        ({"target": "<b>" * 2000}, 400, "length"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_written_stays(
    manager: Manager, fields: dict[str, str], status: int, said: str
) -> None:
    found, text = give(manager, **fields)
    assert (found, said in text) == (status, True), text
    assert f'id="node" name="node" value="{fields.get("node", "stage-1")}"' in text
    assert "<b>" not in text
    assert ask(manager.role, "GET", "/api/v1/commands")[1]["commands"] == []


def test_who_may_only_look_has_no_form(manager: Manager) -> None:
    assert "<form" in page(manager, "/order", STAGING)[1]
    assert "Commands are given by operators" in page(manager, "/order", VIEWER)[1]
    assert 'href="order"' in page(manager, "/commands", STAGING)[1]
    assert 'href="order' not in page(manager, "/commands", VIEWER)[1]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Manager, Host]]:
    with serving(tmp_path) as running, hosting(tmp_path / "h1", running.ws, "h1", {}) as host:
        host.wait_online(running)
        host.engine.add_project("shop", {"web": 1})
        until(lambda: running.get("/api/v1/nodes/h1/containers").json())
        person(running, "olga", "operator", None)
        yield running, host


def test_in_a_browser(browser: Browser, shop: tuple[Manager, Host], tmp_path: Path) -> None:
    manager, _ = shop
    page = logged_in(browser, manager, "olga", "node?id=h1")
    page.get_by_role("link", name="Command for shop-web-1").click()
    expect(page.get_by_label("Target")).to_have_value("shop-web-1")
    expect(page.get_by_label("Command", exact=True)).to_have_value("restart")
    page.get_by_label("Command", exact=True).select_option("inspect")
    page.screenshot(path=tmp_path / "order.png", full_page=True)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    page.get_by_role("button", name="Give it").click()
    expect(page.locator("#command-stage")).to_contain_text("done", timeout=PATIENCE_MS)
    expect(page.locator("#result")).to_contain_text("shop-web-1")
    page.context.close()
