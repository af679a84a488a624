"""Who is of one environment sees and reaches nothing of another, whatever route of the manager they try."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import urllib3

from fleet.manager.people.gate import LOGIN
from fleet.opamp.attributes import Plain, to_attributes
from fleet.opamp.uid import uid_text
from tests.fleet.manager.people.asking import Asker, locally, person, token
from tests.fleet.manager.serving import HandAgent, Manager, serving

AUDIT = "/api/v1/audit"
JOBS, COMMANDS, CONFIGS, PEOPLE, TOKENS = (
    f"/api/v1/{name}" for name in ("jobs", "commands", "configs", "people", "tokens")
)
MARK = "prodmark"  # in everything that production's agent says, and in nothing else


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path, request_rate="100000") as running:
        yield running


def joined(manager: Manager, environment: str, mark: str) -> HandAgent:
    told: dict[str, Any] = {"host_name": f"{mark}-host", "deployment_environment_name": environment}
    agent = HandAgent(manager, f"{mark}-node", interval=3600.0, **told)
    message = agent.message(described=True)
    more: dict[str, Plain | None] = {
        "compose_agent.tags": [f"{mark}-tag"],
        "compose_agent.listener.exporter": f"http://{mark}.example:9417",
        "deployment.environment.name": environment,
    }
    message.agent_description.non_identifying_attributes.extend(to_attributes(more))
    message.health.last_error = f"{mark}-error"
    message.effective_config.config_map.config_map[f"{mark}.yml"].body = f"{mark}: true".encode()
    agent.say(message)
    return agent


def things(manager: Manager, agent: HandAgent) -> list[str]:
    """Make what there can be in production, and return the names and ids of all of it."""
    node, reload = f"{MARK}-node", {"verb": "reload", "nodes": [f"{MARK}-node"]}
    person(manager, f"{MARK}-person", "viewer", ["production"])
    draft = {"name": f"{MARK}-token", "environments": ["production"]}
    made = [
        locally(manager, "POST", "/api/v1/tokens", draft),
        locally(manager, "POST", "/api/v1/jobs", reload),
        locally(manager, "POST", "/api/v1/commands", reload),
        locally(manager, "POST", "/api/v1/configs", LAYER),
    ]
    assert all(status in {201, 202} for status, _ in made), made
    token, job, commands, pushed = (document for _, document in made)
    ids = [token["id"], job["id"], *(each["id"] for each in commands["commands"])]
    return [node, uid_text(agent.uid), f"{MARK}-person", *ids, str(pushed["rollout"]["id"])]


LAYER = {
    "name": f"{MARK}.yml",
    "body": "log.level: debug\n",
    "scope": "environment=production",
    "note": f"{MARK}-note",
}
WHOM = {"verb": "reload", "nodes": [f"{MARK}-node"]}
BODIES: tuple[object, ...] = (
    None,
    {},
    WHOM,
    {"verb": "reload", "selector": f'node_id="{MARK}-node"'},
    {"verb": "reload", "selector": 'environment="production"'},
    {**WHOM, "spread": "any", "parts": [{}]},
    LAYER,
    {**LAYER, "scope": "all"},
    {"role": "viewer", "environments": ["production"]},
    {"role": "viewer", "environments": ["staging"]},
    {"name": "robot", "kind": "join", "environments": ["production"]},
)


def every_request(manager: Manager, names: Sequence[str]) -> Iterator[tuple[str, str, object]]:
    """Yield method, path and body for each route, aimed at what is production's where it takes a name."""
    # Pages and the API's audit come first: later the audit holds what was asked for here.
    queries = [f"?id={name}" for name in names] + ["?q=node", "?fragment=1", ""]
    for path, methods in manager.role._table.items():
        if path != LOGIN:
            yield from ((method, path + query, None) for method in (*methods, "HEAD") for query in queries)
    for each in sorted(manager.role._api.operations, key=lambda one: one.path != AUDIT):
        paths = {re.sub(r"\{\w+\}", name, each.path) for name in names}
        bodies = BODIES if each.takes is not None else (None,)
        yield from ((each.method, path, body) for path in sorted(paths) for body in bodies)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        yield method, f"/api/v1/nodes/{MARK}-node", None
        yield method, "/api/v1/nodes/..%2F/", None


def said(answer: urllib3.BaseHTTPResponse, names: Iterable[str], asked: str) -> list[str]:
    """Return what an answer tells of production besides what was asked for, which may come back."""
    text = f"{answer.data.decode()} {answer.headers}"
    for name in names:
        if name in asked:
            text = text.replace(name, "")
    return [name for name in names if len(name) > 8 and name in text] + re.findall(f"{MARK}.*", text)


@pytest.fixture(params=["token", "person"])
def staging(manager: Manager, request: pytest.FixtureRequest) -> Asker:
    if request.param == "token":
        return token(manager, "admin", ["staging"])
    return person(manager, "stella", "admin", ["staging"])


def test_nothing_of_another_environment_is_seen_or_reached(manager: Manager, staging: Asker) -> None:
    production = joined(manager, "production", MARK)
    joined(manager, "staging", "own")
    names = things(manager, production)
    before = [locally(manager, "GET", path) for path in (JOBS, COMMANDS, CONFIGS, PEOPLE, TOKENS)]
    tried = 0
    for method, path, body in every_request(manager, names):
        answer = staging.ask(method, path, body)
        tried += 1
        assert answer.status < 500 or answer.status == 503, f"{method} {path} {body}"
        told = said(answer, names, f"{path} {json.dumps(body)}")
        assert not told, f"{method} {path} {body}: {answer.status} {told}"
    assert tried > 200
    assert locally(manager, "GET", f"/api/v1/nodes/{MARK}-node")[1]["state"] == "online"
    for path, earlier in zip((JOBS, COMMANDS, CONFIGS, PEOPLE, TOKENS), before, strict=True):
        assert of_production(locally(manager, "GET", path)[1]) == of_production(earlier[1]), path


def of_production(document: dict[str, list[dict[str, Any]]]) -> set[str]:
    """Return what a list holds that is production's; how it stands may change by itself."""
    found = [each for rows in document.values() if isinstance(rows, list) for each in rows]
    return {str(each.get("id") or each["name"]) for each in found if MARK in str(each)}


def test_they_see_and_reach_their_own(manager: Manager, staging: Asker) -> None:
    joined(manager, "production", MARK)
    joined(manager, "staging", "own")
    document = staging.ask("GET", "/api/v1/nodes").json()
    assert [node["node_id"] for node in document["nodes"]] == ["own-node"]
    assert (document["total"], document["states"]["online"]) == (1, 1)
    assert "own-node" in staging.ask("GET", "/").data.decode()
    assert 'node_id="own-node"' in staging.ask("GET", "/metrics").data.decode()
    assert [group["labels"]["node_id"] for group in staging.ask("GET", "/api/v1/http_sd").json()] == [
        "own-node"
    ]
    assert staging.ask("POST", "/api/v1/nodes/own-node/disable").status == 200
    assert staging.ask("GET", "/api/v1/nodes/own-node").json()["state"] == "disabled"


def test_nobody_gives_away_more_than_they_have(staging: Asker) -> None:
    for wanted in (None, ["production"], ["staging", "production"]):
        draft = {"name": "wide", "role": "viewer", "environments": wanted}
        assert staging.ask("POST", "/api/v1/tokens", draft).status == 400
        assert (
            staging.ask("PUT", "/api/v1/people/wide", {"role": "viewer", "environments": wanted}).status
            == 400
        )
    own = {"name": "narrow", "role": "operator", "environments": ["staging"]}
    assert staging.ask("POST", "/api/v1/tokens", own).status == 201


def test_what_they_did_and_what_is_theirs_is_in_their_audit(manager: Manager, staging: Asker) -> None:
    joined(manager, "production", MARK)
    joined(manager, "staging", "own")
    locally(manager, "POST", f"/api/v1/nodes/{MARK}-node/disable")
    locally(manager, "POST", "/api/v1/nodes/own-node/disable")
    staging.ask("POST", "/api/v1/nodes/own-node/enable")
    manager.role._people.auditor.close()
    entries = staging.ask("GET", "/api/v1/audit").json()["entries"]
    paths = [(entry["kind"], entry["fields"]["path"]) for entry in entries]
    own = "/api/v1/nodes/own-node/"
    assert paths[:3] == [
        ("answered", f"{own}enable"),
        ("asked", f"{own}enable"),
        ("answered", f"{own}disable"),
    ]
    assert MARK not in str(entries)


def test_an_environment_is_no_part_of_who_may_log_in(manager: Manager) -> None:
    person(manager, "stella", "viewer", ["staging"])
    assert manager.get("/api/v1/nodes").status == 401


def test_nothing_of_another_environment_is_sent_to_who_follows_a_page(
    manager: Manager, staging: Asker
) -> None:
    names = things(manager, joined(manager, "production", MARK))
    joined(manager, "staging", "own")
    pages = [
        path for path in manager.role._table if not path.startswith(("/static", "/-", LOGIN, "/metrics"))
    ]
    followed = 0
    for view in (
        path.lstrip("/") + query for path in pages for query in ("", f"?id={names[0]}", f"?id={names[1]}")
    ):
        parts = urlsplit(manager.url)
        with closing(http.client.HTTPConnection(parts.netloc, timeout=30.0)) as connection:
            connection.request("GET", f"/events?view={quote(view, safe='')}", headers=staging.headers)
            answer = connection.getresponse()
            if answer.status == 200:
                followed += 1
                text = b"".join(iter(answer.readline, b"\n")) + b"".join(iter(answer.readline, b"\n"))
                said = text.decode().replace(f"?id={names[0]}", "").replace(f"?id={names[1]}", "")
                assert not re.search(f"{MARK}-host|{MARK}-tag|{names[1]}", said), view
    assert followed
