"""Commands from the API to the Engine and back, with real links and a fake Engine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.fake import FakeEngine
from fleet.envelopes.command import (
    CAPABILITY,
    COMMAND,
    RECEIVED,
    REPORT,
    Command,
    Received,
    Report,
    Stage,
    packed,
    unpacked,
)
from tests.fleet.commanding import OPTED_IN, Fleet, Host, ask, fleet_of_one
from tests.fleet.manager.serving import HandAgent, serving, until


@pytest.fixture
def one(tmp_path: Path) -> Iterator[tuple[Fleet, Host]]:
    with fleet_of_one(tmp_path) as running:
        yield running


@pytest.mark.parametrize("url", ["ws", "http"])
def test_a_restart_goes_to_the_host_and_its_end_comes_back(tmp_path: Path, url: str) -> None:
    with fleet_of_one(tmp_path, url=url) as (fleet, host):
        (given,) = fleet.give(nodes=["web-1"], verb="restart", target="web")
        ended = fleet.ended(given["id"])
        assert (ended["stage"], ended["actor"], host.restarts()) == ("done", "local", 1)
        assert ended["result"]["action"]
        assert ended["traceparent"].startswith("00-")


@pytest.mark.parametrize(
    ("asked", "stage", "words"),
    [
        ({"verb": "restart", "target": "nobody"}, "refused", "there is no container 'nobody'"),
        ({"verb": "scale", "target": "web"}, "refused", "scale is for project/service"),
        ({"verb": "restart", "target": "web", "dry_run": True}, "done", "this is a dry run"),
        ({"verb": "freeze", "arguments": {"why": "a move"}}, "done", "frozen since"),
        ({"verb": "thaw"}, "refused", "remediation is not frozen"),
        ({"verb": "logs", "target": "nobody"}, "refused", "there is no container 'nobody' on this host"),
        (
            {"verb": "logs", "target": "web", "arguments": {"lines": "x"}},
            "refused",
            "lines: expected a number",
        ),
        ({"verb": "probe", "target": "web"}, "refused", "web has neither probes nor a health check"),
        ({"verb": "reload"}, "refused", "without a supervisor"),
        ({"verb": "upgrade-check"}, "done", "the agent has version"),
        ({"verb": "inspect"}, "done", "1 containers"),
    ],
)
def test_what_comes_of_each_verb(
    one: tuple[Fleet, Host], asked: dict[str, Any], stage: str, words: str
) -> None:
    fleet, host = one
    (given,) = fleet.give(selector='id="web-1"', **asked)
    ended = fleet.ended(given["id"])
    assert ended["stage"] == stage, ended
    assert words in ended["detail"]
    assert host.restarts() == 0


def test_lines_and_everything_about_a_container_without_its_secrets(one: tuple[Fleet, Host]) -> None:
    fleet, host = one
    for number in range(5):
        host.engine.write("web", f"line {number}\n".encode())
    (given,) = fleet.give(nodes=["web-1"], verb="logs", target="web", arguments={"lines": "2"})
    assert [each["text"] for each in fleet.ended(given["id"])["result"]["lines"]] == ["line 3", "line 4"]
    host.engine.add_container("db", config={"Env": ["PASSWORD=secret"]})
    (given,) = fleet.give(nodes=["web-1"], verb="inspect", target="db")
    assert fleet.ended(given["id"])["result"]["container"]["Config"]["Env"] == ["PASSWORD=***"]


def test_a_probe_is_made_now(one: tuple[Fleet, Host]) -> None:
    fleet, host = one
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        labels = {"compose-agent.probe.tcp": str(port)}
        host.engine.add_container("db", labels=labels, network="host")
        (given,) = fleet.give(nodes=["web-1"], verb="probe", target="db")
        ended = fleet.ended(given["id"])
        assert (ended["stage"], ended["result"]["probes"]) == ("done", {f"tcp {port}": ""})
    (given,) = fleet.give(nodes=["web-1"], verb="probe", target="db")
    ended = fleet.ended(given["id"])
    assert ended["stage"] == "failed"
    assert f"tcp {port}: Connection refused" in ended["detail"]


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"nodes": ["nobody"], "verb": "reload"}, 404, "there is no node nobody"),
        ({"selector": 'role="cook"', "verb": "reload"}, 404, "no node is meant"),
        ({"selector": 'colour!="red"', "verb": "reload"}, 400, "'colour' is no label of a node"),
        ({"selector": "id=", "verb": "reload"}, 400, "is no list of matchers"),
        ({"verb": "reload"}, 400, "expected nodes, or a selector"),
        ({"nodes": ["web-1"], "verb": "rm -rf"}, 400, "there are restart, stop"),
        ({"nodes": ["web-1"], "verb": "reload", "seconds": 0}, 400, "seconds"),
        ({"nodes": ["web-1"], "verb": "reload", "more": 1}, 400, "more"),
    ],
)
def test_what_cannot_be_given_is_refused(
    one: tuple[Fleet, Host], asked: dict[str, Any], status: int, words: str
) -> None:
    (answer,) = one[0].give(status, **asked)
    assert words in answer["error"]


def test_a_host_takes_only_the_commands_that_it_allows(tmp_path: Path) -> None:
    with fleet_of_one(tmp_path, **{"agent.commands": "inspect"}) as (fleet, host):
        (given,) = fleet.give(nodes=["web-1"], verb="restart", target="web")
        ended = fleet.ended(given["id"])
        assert (ended["stage"], host.restarts()) == ("refused", 0)
        assert "this host does not carry out restart" in ended["detail"]
        (given,) = fleet.give(nodes=["web-1"], verb="inspect")
        assert fleet.ended(given["id"])["stage"] == "done"


def test_an_agent_that_is_away_gets_it_in_time_or_never(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(FakeEngine(tmp_path / "docker.sock"))
        engine.add_container("web", labels=OPTED_IN)
        fleet = Fleet(stack.enter_context(serving(tmp_path / "manager")))
        host = Host(tmp_path, engine, fleet.manager.ws, options={"agent.node-id": "web-1"})
        stack.enter_context(host.remediation())
        with host.agent():
            fleet.online("web-1")
        until(lambda: fleet.manager.state("web-1") == "offline")
        (late,) = fleet.give(nodes=["web-1"], verb="restart", target="web", seconds=1)
        (early,) = fleet.give(nodes=["web-1"], verb="inspect", seconds=600)
        assert late["stage"] == early["stage"] == "waiting"
        ended = fleet.ended(late["id"])
        assert (ended["stage"], ended["detail"]) == (
            "expired",
            "its agent was not there before its deadline, and it was never sent",
        )
        with host.agent():
            assert fleet.ended(early["id"])["stage"] == "done"
        assert host.restarts() == 0


def test_a_host_without_remediation_says_so(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(FakeEngine(tmp_path / "docker.sock"))
        fleet = Fleet(stack.enter_context(serving(tmp_path / "manager")))
        host = Host(tmp_path, engine, fleet.manager.ws, ("agent",), {"agent.node-id": "web-1"})
        stack.enter_context(host.agent())
        fleet.online("web-1")
        (given,) = fleet.give(nodes=["web-1"], verb="restart", target="web")
        assert "remediation role, which does not run on this host" in fleet.ended(given["id"])["detail"]


def test_remediation_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(FakeEngine(tmp_path / "docker.sock"))
        engine.add_container("web", labels=OPTED_IN)
        fleet = Fleet(stack.enter_context(serving(tmp_path / "manager")))
        host = Host(tmp_path, engine, fleet.manager.ws, options={"agent.node-id": "web-1"})
        stack.enter_context(host.agent())
        fleet.online("web-1")
        (given,) = fleet.give(nodes=["web-1"], verb="restart", target="web")
        (hopeless,) = fleet.give(nodes=["web-1"], verb="freeze", seconds=8)
        until(lambda: fleet.command(given["id"])["stage"] == "accepted")
        ended = fleet.ended(hopeless["id"])
        assert ended["stage"] == "expired"
        assert "the role remediation is not running" in ended["detail"]
        stack.enter_context(host.remediation())
        assert fleet.ended(given["id"])["stage"] == "done"
        assert host.restarts() == 1


class ByHand(HandAgent):
    """An agent that knows the capability, and is told when to speak."""

    def join(self) -> None:
        message = self.message(described=True)
        message.custom_capabilities.capabilities.append(CAPABILITY)
        self.say(message)

    def command(self) -> Command:
        while True:
            message = self.hear().custom_message
            if message.type == COMMAND:
                return unpacked(Command, message.data)

    def report(self, report: Report) -> None:
        message = self.message()
        message.custom_message.capability, message.custom_message.type = CAPABILITY, REPORT
        message.custom_message.data = packed(report)
        self.say(message)

    def received(self) -> list[str]:
        while True:
            message = self.hear().custom_message
            if message.type == RECEIVED:
                return unpacked(Received, message.data).ids


def test_what_was_sent_and_not_answered_is_asked_about_when_the_agent_is_back(tmp_path: Path) -> None:
    with serving(tmp_path) as manager:
        fleet = Fleet(manager)
        agent = ByHand(manager, "silent")
        agent.join()
        (given,) = fleet.give(nodes=["silent"], verb="inspect", seconds=1)
        assert agent.command().id == given["id"]
        agent.connection.close()
        until(lambda: fleet.command(given["id"])["stage"] == "unanswered")
        back = ByHand(manager, "silent", agent.uid)
        back.join()
        assert back.command().id == given["id"]
        back.report(Report(id=given["id"], stage=Stage.DONE, detail="long ago"))
        assert back.received() == [given["id"]]
        ended = fleet.ended(given["id"])
        assert (ended["stage"], ended["detail"]) == ("done", "long ago")


def test_an_end_never_changes_and_nobody_ends_another_one_s_command(tmp_path: Path) -> None:
    with serving(tmp_path) as manager:
        fleet = Fleet(manager)
        agent, other = ByHand(manager, "one"), ByHand(manager, "two")
        agent.join()
        other.join()
        (given,) = fleet.give(nodes=["one"], verb="inspect")
        agent.command()
        other.report(Report(id=given["id"], stage=Stage.DONE, detail="forged"))
        agent.report(Report(id=given["id"], stage=Stage.ACCEPTED))
        until(lambda: fleet.command(given["id"])["stage"] == "accepted")
        agent.report(Report(id=given["id"], stage=Stage.FAILED, detail="the first end"))
        assert agent.received() == [given["id"]]
        agent.report(Report(id=given["id"], stage=Stage.DONE, detail="another end"))
        assert agent.received() == [given["id"]]
        assert fleet.command(given["id"])["detail"] == "the first end"


def test_who_speaks_no_commands_is_refused_and_nonsense_does_no_harm(tmp_path: Path) -> None:
    with serving(tmp_path) as manager:
        fleet = Fleet(manager)
        foreign, strange = HandAgent(manager, "foreign"), ByHand(manager, "strange")
        foreign.say(described=True)
        strange.join()
        (given,) = fleet.give(nodes=["foreign"], verb="inspect")
        assert (given["stage"], given["detail"]) == ("refused", "its agent takes no commands")
        message = strange.message()
        message.custom_message.capability, message.custom_message.type = CAPABILITY, REPORT
        message.custom_message.data = b"{" * 1000
        strange.say(message)
        strange.report(Report(id="unheard of", stage=Stage.DONE))
        assert strange.received() == ["unheard of"]


def test_they_are_listed_the_newest_first(one: tuple[Fleet, Host]) -> None:
    fleet, _host = one
    made = [fleet.give(nodes=["web-1"], verb="inspect")[0]["id"] for _ in range(3)]
    for each in made:
        fleet.ended(each)
    role = fleet.manager.role
    rows = ask(role, "GET", "/api/v1/commands?node=web-1&stage=done&limit=2")[1]["commands"]
    assert [row["id"] for row in rows] == sorted(made, reverse=True)[:2]
    before = ask(role, "GET", f"/api/v1/commands?before={rows[-1]['id']}")[1]["commands"]
    assert [row["id"] for row in before] == [min(made)]
    assert ask(role, "GET", "/api/v1/commands/nothing")[0] == 404
