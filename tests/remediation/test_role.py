"""The whole role in this process, over the fake Engine: what its listener serves and to whom."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Config
from compose_agent.config.resolve import Given, resolve
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.errors import ListenError
from compose_agent.role import ConfigState
from remediation.role import RemediationRole
from tests.remediation.page.browsing import Person

Start = Callable[..., RemediationRole]
CONTENT = {"Content-Type": "application/json"}
NOTHING = json.dumps({"version": "4", "status": "firing", "receiver": "x", "groupKey": "{}", "alerts": []})


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Callable[..., Config]]:
    """Return a function that makes a configuration over a fake Engine."""
    with FakeEngine(info={"Name": "docker1"}) as engine:
        general = {"state-dir": str(tmp_path), "docker.host": engine.url}

        def make(**options: Any) -> Config:
            own = {"remediation.web.listen-address": ["127.0.0.1:0"]}
            named = {f"remediation.{key.replace('_', '.')}": value for key, value in options.items()}
            given = {**general, **own, **named}
            return resolve(SCHEMA, [{key: Given(value, "here") for key, value in given.items()}])

        yield make


@pytest.fixture
def start(config: Callable[..., Config]) -> Iterator[Start]:
    with ExitStack() as running:

        def make(**options: Any) -> RemediationRole:
            role = RemediationRole(config(**options), ConfigState())
            running.callback(role.stop)
            role.start()
            return role

        yield make


def at(role: RemediationRole, user: str = "") -> Person:
    (url,) = role.listeners()
    return Person(int(url.rpartition(":")[2]), user)


def test_the_listener_serves_alerts_and_the_page(start: Start) -> None:
    person = at(start())
    assert person.ask("POST", "/webhook", NOTHING.encode(), CONTENT).status == 202
    assert "Remediation on" in person.look().text
    overview = json.loads(person.get("/v1/overview").body)
    assert {"container-unhealthy", "service-cpu-saturated"} <= set(overview["policies"])
    for path in ("/metrics", "/-/ready", "/-/healthy", "/v1/actions"):
        assert person.get(path).status == 200
    assert person.press("/v1/thaw", {}).status == 404


def test_no_page_in_a_browser_sends_alerts_also_not_ours(start: Start) -> None:
    person = at(start())
    ours = f"http://127.0.0.1:{person._port}"
    for origin in (ours, "http://evil.example", "null"):
        assert person.ask("POST", "/webhook", NOTHING.encode(), {**CONTENT, "Origin": origin}).status == 403


def test_who_froze_it_is_in_the_journal(start: Start, tmp_path: Path) -> None:
    secret = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users:\n  ann: {secret}\n")
    role = start(web_config_file=str(web))
    ann = at(role, "ann")
    assert ann.press("/freeze", {**ann.look().form("freeze"), "why": "a move"}).status == 303
    (entry,) = [each for each in role.journal.read(lambda view: view.entries(0, 9)) if each.kind == "frozen"]
    assert entry.fields == {"by": "ann", "why": "a move"}
    assert ann.press("/thaw", ann.look().form("thaw")).status == 303


def test_a_new_configuration_changes_what_strangers_may(start: Start, config: Callable[..., Config]) -> None:
    role = start()
    person = at(role)
    person.press("/freeze", person.look().form("freeze"))
    assert "thaw" not in person.look().actions
    (url,) = role.listeners()
    role.apply(config(insecure="true"))
    assert role.listeners() == (url,)
    assert "thaw" in person.look().actions


def test_a_start_that_fails_leaves_nothing_behind(config: Callable[..., Config]) -> None:
    before = set(threading.enumerate())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        role = RemediationRole(config(**{"web_listen-address": [f"127.0.0.1:{port}"]}), ConfigState())
        with pytest.raises(ListenError):
            role.start()
    again = RemediationRole(config(), ConfigState())  # nobody holds the state any more
    again.start()
    again.stop()
    # The fake Engine has a thread for each connection.
    left = [each.name for each in set(threading.enumerate()) - before if "_serve" not in each.name]
    assert left == []
