"""The pages of commands and jobs, and who sees what."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.envelopes.command import CAPABILITY
from fleet.manager.principal import KEY, LOCAL, Principal, Role
from fleet.opamp import attributes as names
from tests.fleet.commanding import ask
from tests.fleet.manager.serving import HandAgent, Manager, serving

STAGING = Principal("eve", Role.OPERATOR, frozenset({"staging"}))
VIEWER = Principal("vic", Role.VIEWER)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path, heartbeat_interval="30s") as running:
        for name, environment in (("stage-1", "staging"), ("prod-1", "production")):
            agent = HandAgent(running, name, interval=30.0)
            own = {names.NODE_ID: name, "deployment.environment.name": environment}
            agent._attributes |= own
            message = agent.message(described=True)
            message.custom_capabilities.capabilities.append(CAPABILITY)
            agent.say(message)
        yield running


def page(manager: Manager, path: str, principal: Principal = LOCAL) -> tuple[int, str]:
    status, body = asked(manager, "GET", path, principal)
    return status, body.decode()


def asked(
    manager: Manager, method: str, path: str, principal: Principal, body: bytes = b""
) -> tuple[int, bytes]:
    path, _, query = path.partition("?")
    status: list[str] = []
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(body),
        KEY: principal,
    }
    methods = manager.role._find(path)
    assert methods is not None, path
    answer = methods[method](environ)(environ, lambda said, *_: status.append(said))  # type: ignore[arg-type]
    return int(status[0][:3]), b"".join(answer)


def test_what_was_asked_for_is_shown_with_what_came_of_it(manager: Manager) -> None:
    assert "No command was given yet" in page(manager, "/commands")[1]
    assert "No job was begun yet" in page(manager, "/jobs")[1]
    order = {"nodes": ["stage-1"], "verb": "logs", "target": "web", "arguments": {"lines": "5"}}
    (command,) = ask(manager.role, "POST", "/api/v1/commands", order)[1]["commands"]
    job = ask(manager.role, "POST", "/api/v1/jobs", {"selector": 'id=~".*-1"', "verb": "inspect"})[1]
    shown = page(manager, "/commands")[1]
    assert "logs web lines=5" in shown
    assert page(manager, "/commands?stage=done")[1].count("logs web") == 0
    assert "logs web" not in page(manager, f"/commands?job={job['id']}")[1]
    one = page(manager, f"/command?id={command['id']}")[1]
    assert command["traceparent"] in one
    assert "inspect" in page(manager, "/jobs")[1]
    parts = page(manager, f"/job?id={job['id']}")[1]
    assert "each of" in parts
    assert {"stage-1", "prod-1"} <= set(re.findall(r"[a-z]+-1", parts))
    for path in ("/command?id=x", "/job?id=x"):
        assert page(manager, path)[0] == 404
    for path in ("/commands", f"/command?id={command['id']}", "/jobs", f"/job?id={job['id']}"):
        fragment = page(manager, f"{path}{'&' if '?' in path else '?'}fragment")[1]
        assert fragment.lstrip().startswith("<section")


def test_who_is_bound_to_an_environment_sees_and_reaches_nothing_of_another(manager: Manager) -> None:
    for node in ("stage-1", "prod-1"):
        ask(manager.role, "POST", "/api/v1/commands", {"nodes": [node], "verb": "inspect"})
    everywhere = ask(manager.role, "POST", "/api/v1/jobs", {"selector": 'id=~".*"', "verb": "inspect"})[1]
    staging = ask(manager.role, "POST", "/api/v1/jobs", {"nodes": ["stage-1"], "verb": "reload"})[1]
    rows = asked(manager, "GET", "/api/v1/commands", STAGING)[1]
    assert b"stage-1" in rows
    assert b"prod-1" not in rows
    for path in ("/commands", "/jobs", f"/job?id={staging['id']}"):
        assert "prod-1" not in page(manager, path, STAGING)[1]
    assert page(manager, f"/job?id={everywhere['id']}", STAGING)[0] == 404
    assert asked(manager, "GET", f"/api/v1/jobs/{everywhere['id']}", STAGING)[0] == 404
    assert asked(manager, "POST", f"/api/v1/jobs/{everywhere['id']}/cancel", STAGING)[0] == 404
    assert staging["id"].encode() in asked(manager, "GET", "/api/v1/jobs", STAGING)[1]
    hers = ask(manager.role, "GET", "/api/v1/commands?node=prod-1")[1]["commands"][0]["id"]
    assert asked(manager, "GET", f"/api/v1/commands/{hers}", STAGING)[0] == 404
    for body in (
        b'{"nodes": ["prod-1"], "verb": "inspect"}',
        b'{"selector": "id=prod-1", "verb": "inspect"}',
    ):
        for path in ("/api/v1/commands", "/api/v1/jobs"):
            assert asked(manager, "POST", path, STAGING, body)[0] == 404
    status, answer = asked(
        manager, "POST", "/api/v1/commands", STAGING, b'{"selector": "id=~\\".*\\"", "verb": "inspect"}'
    )
    assert status == 202
    assert answer.count(b'"stage":') == 1


def test_who_may_only_look_gives_no_commands(manager: Manager) -> None:
    for path in ("/api/v1/commands", "/api/v1/jobs"):
        body = b'{"nodes": ["stage-1"], "verb": "inspect"}'
        assert asked(manager, "POST", path, VIEWER, body)[0] == 403
