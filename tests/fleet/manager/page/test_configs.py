"""The pages of configuration, as a browser gets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.manager.configs.by_hand import ConfiguredAgent, push, rollout
from tests.fleet.manager.serving import Manager, serving, until


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def history(manager: Manager) -> Manager:
    """A manager where one version is in force and the next one was taken back."""
    agent = ConfiguredAgent(manager, "web-1")
    good = push(manager, "log.level: info\n", note="<b>first</b>")
    agent.listen()
    until(lambda: rollout(manager, good["id"])["phase"] == "done")
    bad = push(manager, "log.level: info\nbad: 1\n")
    agent.listen()
    until(lambda: agent.speaks() and rollout(manager, bad["id"])["phase"] == "reverted")
    return manager


def page(manager: Manager, path: str, status: int = 200) -> str:
    answer = manager.get(path)
    assert answer.status == status, answer.data
    return answer.data.decode()


def test_without_any_the_page_says_what_to_do(manager: Manager) -> None:
    assert "compose-agent config push FILE" in page(manager, "/configs")
    assert "No version has been brought" in page(manager, "/rollouts")


def test_the_menu_leads_to_both(manager: Manager) -> None:
    found = page(manager, "/")
    assert '<a href="configs">Configuration</a>' in found
    assert '<a href="rollouts">Roll-outs</a>' in found
    assert '<a href="configs" aria-current="page">' in page(manager, "/configs")


def test_layers_lead_to_their_history(history: Manager) -> None:
    found = page(history, "/configs")
    assert '<a href="config?scope=all&amp;name=agent.yml" data-row>agent.yml</a>' in found
    assert "&lt;b&gt;first&lt;/b&gt;" in found


def test_a_layer_has_its_versions_and_what_the_newest_changed(history: Manager) -> None:
    found = page(history, "/config?scope=all&name=agent.yml")
    assert "Version 2, and what it changed" in found
    assert '<span class="add">+bad: 1' in found
    older = page(history, "/config?scope=all&name=agent.yml&to=1&fragment=1")
    assert '<span class="add">+log.level: info' in older
    assert "<html" not in older


def test_a_roll_out_says_who_stopped_it(history: Manager) -> None:
    assert "web-1: it could not take it" in page(history, "/rollouts")
    found = page(history, "/rollout?id=2")
    assert "reverted: web-1: it could not take it: agent.yml:1: bad is no option" in found
    assert 'class="bad"' in found


@pytest.mark.parametrize("path", ["/config", "/config?name=x&scope=no", "/rollout?id=9", "/rollout?id=x"])
def test_what_is_not_there(path: str, history: Manager) -> None:
    assert "There is no" in page(history, path, 404)
