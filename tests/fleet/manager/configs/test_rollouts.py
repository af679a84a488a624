"""Roll-outs over real sockets, with agents by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.manager.configs import gate
from fleet.manager.principal import Principal, Role
from tests.fleet.manager.configs.by_hand import ConfiguredAgent, ask, push, rollout
from tests.fleet.manager.serving import Manager, serving, until

GOOD, NEXT = "log.level: info\n", "log.level: debug\n"
STAGING = Principal("sam", Role.ADMIN, frozenset({"staging"}))
PATIENCE_SECONDS = 120.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


def agents(manager: Manager, count: int, **more: Any) -> list[ConfiguredAgent]:
    return [ConfiguredAgent(manager, f"web-{number}", **more) for number in range(count)]


def comes_to(manager: Manager, number: int, phase: str) -> dict[str, Any]:
    until(lambda: rollout(manager, number)["phase"] == phase, PATIENCE_SECONDS)
    return rollout(manager, number)


def everybody_has(manager: Manager, some: list[ConfiguredAgent], text: str) -> None:
    begun = push(manager, text)
    for agent in some:
        agent.listen()
    comes_to(manager, begun["id"], "done")


def turn(manager: Manager, number: int, deed: str) -> int:
    return ask(manager, "POST", f"/api/v1/rollouts/{number}/{deed}")[0]


def test_batches_come_one_after_the_other(manager: Manager) -> None:
    some = agents(manager, 3)
    begun = push(manager, GOOD, batch="1")
    assert (begun["batches"], begun["batch"]) == (3, 1)
    for number, agent in enumerate(some, 1):
        assert rollout(manager, begun["id"])["batch"] == number
        agent.listen()
        until(lambda after=number: rollout(manager, begun["id"])["agents"]["passed"] == after)  # type: ignore[misc]
    found = comes_to(manager, begun["id"], "done")
    assert found["agents"]["passed"] == 3
    assert all(agent.files == {"agent.yml": GOOD} for agent in some)


def test_who_was_selected_has_it_until_somebody_goes_on(manager: Manager) -> None:
    canary, other = agents(manager, 2)
    begun = push(manager, GOOD, selector="id=web-0")
    canary.listen()
    comes_to(manager, begun["id"], "held")
    assert ask(manager, "GET", "/api/v1/configs")[1]["layers"][0]["version"] is None
    assert turn(manager, begun["id"], "pause") == 409
    assert turn(manager, begun["id"], "resume") == 200
    other.listen()
    found = comes_to(manager, begun["id"], "done")
    assert (found["batches"], found["agents"]["passed"]) == (2, 2)
    assert ask(manager, "GET", "/api/v1/configs")[1]["layers"][0]["version"] == 1


def test_a_version_can_be_taken_back_by_hand(manager: Manager) -> None:
    some = agents(manager, 2)
    everybody_has(manager, some, GOOD)
    begun = push(manager, NEXT, gate="1h", batch="1")
    some[0].listen()
    assert turn(manager, begun["id"], "revert") == 200
    some[0].listen()
    found = comes_to(manager, begun["id"], "reverted")
    assert found["reason"] == "taken back by local"
    assert some[0].files == some[1].files == {"agent.yml": GOOD}
    assert turn(manager, begun["id"], "revert") == 409


def test_while_it_is_paused_nobody_else_gets_it_and_who_has_it_is_watched(manager: Manager) -> None:
    some = agents(manager, 2)
    begun = push(manager, GOOD, batch="1")
    assert turn(manager, begun["id"], "pause") == 200
    some[0].listen()
    until(lambda: ask(manager, "GET", "/api/v1/configs/nodes/web-0")[1]["status"] == "applied")
    assert rollout(manager, begun["id"])["batch"] == 1
    assert turn(manager, begun["id"], "resume") == 200
    some[1].listen()
    comes_to(manager, begun["id"], "done")


def test_one_layer_has_one_roll_out_at_a_time(manager: Manager) -> None:
    agents(manager, 1)
    begun = push(manager, GOOD)
    asked = {"name": "agent.yml", "body": NEXT}
    status, document = ask(manager, "POST", "/api/v1/configs", asked)
    assert status == 409
    assert f"roll-out {begun['id']} of this layer is running" in document["error"]
    assert push(manager, NEXT, name="other.yml")["id"] != begun["id"]


def test_an_agent_whose_health_turns_bad_stops_it(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "ILL_SECONDS", 0.5)
    some = agents(manager, 2)
    everybody_has(manager, some, GOOD)
    begun = push(manager, NEXT, gate="1h", batch="1")
    some[0].listen()
    message = some[0].message()
    message.health.healthy = False
    message.health.last_error = "out of memory"
    if not some[0].hear_from(some[0].say(message)):
        some[0].listen()
    found = comes_to(manager, begun["id"], "reverted")
    assert found["reason"] == "web-0: its health is bad: out of memory"
    assert some[1].files == {"agent.yml": GOOD}


def test_an_agent_that_is_ill_for_a_moment_does_not_stop_it(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "WELL_SECONDS", 0.5)
    (agent,) = agents(manager, 1)
    everybody_has(manager, [agent], GOOD)
    begun = push(manager, NEXT, gate="1s")
    ill = agent.message()
    ill.health.healthy = False
    ill.health.last_error = "not connected yet"
    if not agent.hear_from(agent.say(ill)):
        agent.listen()
    looks = manager.role._configs._rollouts
    for _ in range(3):
        looks.tick()
    assert rollout(manager, begun["id"])["phase"] == "running"
    well = agent.message()
    well.health.healthy = True
    agent.hear_from(agent.say(well))
    comes_to(manager, begun["id"], "done")


def test_ends_are_counted_and_open_ones_are_told(manager: Manager) -> None:
    some = agents(manager, 2)
    everybody_has(manager, some, GOOD)
    begun = push(manager, NEXT, gate="1h", batch="1")
    text = manager.get("/metrics").data.decode()
    assert 'fleet_rollouts_open{phase="running"} 1.0' in text
    assert 'fleet_rollouts_total{phase="done"} 1.0' in text
    some[0].listen()
    assert turn(manager, begun["id"], "revert") == 200
    some[0].listen()
    comes_to(manager, begun["id"], "reverted")
    text = manager.get("/metrics").data.decode()
    assert 'fleet_rollouts_open{phase="running"} 0.0' in text
    assert 'fleet_rollouts_total{phase="reverted"} 1.0' in text


def test_an_agent_that_says_goodbye_stops_it_and_has_the_one_before_when_it_comes_back(
    manager: Manager,
) -> None:
    some = agents(manager, 2)
    everybody_has(manager, some, GOOD)
    begun = push(manager, NEXT, gate="1h", batch="1")
    some[0].listen()
    some[0].connection.close()
    found = comes_to(manager, begun["id"], "reverted")
    assert found["reason"] == "web-0: it is offline"
    assert some[0].comes_back(manager).files == {"agent.yml": GOOD}


def test_an_agent_that_says_nothing_of_it_stops_it(manager: Manager) -> None:
    some = agents(manager, 2)
    begun = push(manager, GOOD, batch="1", within="1s")
    found = comes_to(manager, begun["id"], "reverting")
    assert found["reason"] == "web-0: it has not said in time that it has applied it"
    some[0].listen()  # at last, and then it is sent nothing at all instead
    until(lambda: some[0].speaks() and some[0].files == {})
    comes_to(manager, begun["id"], "reverted")


def test_who_is_not_there_at_its_turn_gets_it_in_the_end(manager: Manager) -> None:
    some = agents(manager, 2)
    begun = push(manager, GOOD, batch="1")
    some[1].connection.close()
    until(lambda: manager.state("web-1") == "offline")
    some[0].listen()
    found = comes_to(manager, begun["id"], "done")
    assert [one["state"] for one in found["members"]] == ["passed", "skipped"]
    assert some[1].comes_back(manager).files == {"agent.yml": GOOD}


def test_layers_of_several_scopes_come_together(manager: Manager) -> None:
    agent = ConfiguredAgent(manager, "web-0", deployment_environment_name="staging")
    everybody_has(manager, [agent], "a: 1\nb: 1\n")
    begun = push(manager, "b: 2\n", scope="environment=staging")
    agent.listen()
    comes_to(manager, begun["id"], "done")
    assert agent.files == {"agent.yml": "a: 1\nb: 2\n"}
    begun = push(manager, "b: 3\n", scope="environment=production")
    assert comes_to(manager, begun["id"], "done")["members"] == []
    assert agent.files == {"agent.yml": "a: 1\nb: 2\n"}
    begun = push(manager, None)
    agent.listen()
    comes_to(manager, begun["id"], "done")
    assert agent.files == {"agent.yml": "b: 2\n"}


def test_an_agent_that_was_never_meant_is_left_alone(manager: Manager) -> None:
    agent = ConfiguredAgent(manager, "web-0")
    comes_to(manager, push(manager, GOOD, scope="role=manager")["id"], "done")
    agent.speaks()
    assert not agent.hash


def test_what_is_in_another_environment_does_not_exist(manager: Manager) -> None:
    mine = ConfiguredAgent(manager, "web-0", deployment_environment_name="staging")
    theirs = ConfiguredAgent(manager, "web-1", deployment_environment_name="production")
    everybody_has(manager, [mine, theirs], GOOD)
    begun = push(manager, NEXT, scope="environment=staging")
    mine.listen()
    comes_to(manager, begun["id"], "done")
    listed = ask(manager, "GET", "/api/v1/configs", who=STAGING)[1]["layers"]
    assert [one["scope"] for one in listed] == ["environment=staging"]
    assert len(ask(manager, "GET", "/api/v1/rollouts", who=STAGING)[1]["rollouts"]) == 1
    for path in (
        "/api/v1/rollouts/1",
        "/api/v1/configs/layers/all/agent.yml",
        "/api/v1/configs/layers/all/agent.yml/diff",
        "/api/v1/configs/nodes/web-1",
    ):
        assert ask(manager, "GET", path, who=STAGING)[0] == 404, path
    assert ask(manager, "POST", "/api/v1/rollouts/1/revert", who=STAGING)[0] == 404
    wide = {"name": "agent.yml", "body": NEXT, "scope": "role=worker"}
    status, document = ask(manager, "POST", "/api/v1/configs", wide, who=STAGING)
    assert (status, "expected environment= one of staging" in document["error"]) == (400, True)
    narrow = wide | {"scope": "environment=staging,role=worker"}
    assert ask(manager, "POST", "/api/v1/configs", narrow, who=STAGING)[0] == 202
    operator = Principal("olga", Role.OPERATOR)
    assert ask(manager, "POST", "/api/v1/configs", narrow, who=operator)[0] == 403


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"body": "a: 1\n b: 2\n"}, "agent.yml:2: is not valid YAML"),
        ({"name": "../agent.yml"}, "cannot be the name of a file"),
        ({"name": ""}, "cannot be the name of a file"),
        ({"scope": "rack=7"}, "is no scope"),
        ({"selector": "rack=7"}, "selector: nodes have no 'rack'"),
        ({"selector": "{"}, "selector: "),
        ({"batch": "none"}, "is no batch"),
        ({"gate": "soon"}, "gate: 'soon' is no duration"),
        ({"within": "0s"}, "within: expected a duration from 1 s to a day"),
        ({"body": 7}, "Expected `str | null`"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"body": "x" * (1 << 20) + "x"}, "has more than 1048576 bytes"),
    ],
)
def test_a_wrong_push_is_refused_before_anything_is_written(
    wrong: dict[str, Any], said: str, manager: Manager
) -> None:
    asked = {"name": "agent.yml", "body": GOOD} | wrong
    status, document = ask(manager, "POST", "/api/v1/configs", asked)
    assert (status, said in document["error"]) == (400, True), document
    assert ask(manager, "GET", "/api/v1/configs")[1]["layers"] == []


def test_versions_are_kept_and_compared(manager: Manager) -> None:
    for text in (GOOD, NEXT, None):
        comes_to(manager, push(manager, text, note="why")["id"], "done")
    path = "/api/v1/configs/layers/all/agent.yml"
    versions = ask(manager, "GET", path)[1]["versions"]
    assert [(one["version"], one["body"], one["note"]) for one in versions] == [
        (3, None, "why"),
        (2, NEXT, "why"),
        (1, GOOD, "why"),
    ]
    assert ask(manager, "GET", f"{path}/diff?from=1&to=2")[1]["diff"] == [
        "--- all/agent.yml version 1",
        "+++ all/agent.yml version 2",
        "@@ -1 +1 @@",
        "-log.level: info",
        "+log.level: debug",
    ]
    assert ask(manager, "GET", f"{path}/diff")[1]["diff"][1] == "+++ nothing"
    assert ask(manager, "GET", f"{path}/diff?from=0&to=1")[1]["diff"][-1] == "+log.level: info"
    assert ask(manager, "GET", f"{path}/diff?to=9")[0] == 404
