"""Who is of one environment sees and reaches nothing of another, whatever route of the manager they try."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from fleet.manager.people.gate import LOGIN
from fleet.opamp.attributes import Plain, to_attributes
from fleet.opamp.uid import uid_text
from tests.fleet.manager.people.asking import Asker, locally, person, token
from tests.fleet.manager.serving import HandAgent, Manager, serving

MARK = "prodmark"  # in everything that production's agent says, and in nothing else
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")


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


def every_path(manager: Manager, agent: HandAgent) -> list[str]:
    """Return each route of the manager, aimed at production's agent where it takes a name."""
    names = (f"{MARK}-node", uid_text(agent.uid), f"{MARK}-person")
    below = {re.sub(r"\{\w+\}", name, each.path) for each in manager.role._api.operations for name in names}
    queries = [f"?id={name}" for name in names] + [f"?q={MARK}", "?fragment=1", ""]
    return sorted(below) + [path + query for path in manager.role._table for query in queries]


BODIES: tuple[dict[str, str] | None, ...] = (
    None,
    {},
    {"selector": f'node_id="{MARK}-node"', "command": "reload", "node": f"{MARK}-node"},
)


@pytest.fixture(params=["token", "person"])
def staging(manager: Manager, request: pytest.FixtureRequest) -> Asker:
    if request.param == "token":
        return token(manager, "admin", ["staging"])
    return person(manager, "stella", "admin", ["staging"])


def test_nothing_of_another_environment_is_seen_or_reached(manager: Manager, staging: Asker) -> None:
    production = joined(manager, "production", MARK)
    joined(manager, "staging", "own")
    person(manager, f"{MARK}-person", "viewer", ["production"])
    token(manager, "viewer", ["production"], f"{MARK}-token")
    uid, tried = uid_text(production.uid), 0
    for path in every_path(manager, production):
        if path.partition("?")[0] == LOGIN:
            continue
        for method in METHODS:
            for body in BODIES if method in {"POST", "PUT"} else (None,):
                answer = staging.ask(method, path, body)
                tried += 1
                # What was asked for may come back, and says nothing; anything else would be of production.
                said = answer.data.decode() + str(answer.headers)
                for asked in re.findall(rf"{MARK}[\w-]*|{uid}", path):
                    said = said.replace(asked, "")
                assert not re.search(f"{MARK}|{uid}", said), f"{method} {path}: {answer.status} {said}"
    assert tried > 200
    assert locally(manager, "GET", f"/api/v1/nodes/{MARK}-node")[1]["state"] == "online"
    assert f"{MARK}-person" in str(locally(manager, "GET", "/api/v1/people"))
    assert f"{MARK}-token" in str(locally(manager, "GET", "/api/v1/tokens"))


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
    assert urllib3.request("GET", f"{manager.url}/api/v1/nodes", retries=False).status == 401
