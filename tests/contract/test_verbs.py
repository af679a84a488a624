"""The actor and its verbs, on the fake Engine and on a real one: what they rely on is the same on both."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors
import docker.types
import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import Behaviour, Fault
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Budget
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.model import Result, Standing
from compose_agent.dockerd.verbs.optin import LABEL, OptIn
from compose_agent.dockerd.verbs.pursuit import Patience
from compose_agent.dockerd.verbs.registry import VERBS
from compose_agent.errors import EngineNotFound, EngineRefused
from tests.contract.conftest import CALL_SECONDS, SCRIPTS
from tests.dockerd.verbs.acting import MANY, asked
from tests.dockerd.verbs.programs import start

if TYPE_CHECKING:
    from tests.contract.conftest import Rig

Json = dict[str, Any]
PATIENCE = Patience(settle=1.0)


@pytest.fixture
def client(rig: Rig) -> Iterator[EngineClient]:
    made = EngineClient(Endpoint(f"unix://{rig.path}", "contract"), timeout=CALL_SECONDS)
    yield made
    made.close()


@pytest.fixture
def actor(client: EngineClient, tmp_path: Path) -> Iterator[LocalActor]:
    journal = Journal(tmp_path)
    yield LocalActor(client, journal, VERBS, OptIn(("*",)), Budget(MANY), patience=PATIENCE)
    journal.close()


def cycles(rig: Rig, container: str) -> int:
    """How often it has died and was started again."""
    told = [action for action in rig.actions(container) if action in ("die", "start")]
    return sum(pair == ("die", "start") for pair in itertools.pairwise(told))


def labelled(rig: Rig, script: str, labels: dict[str, str]) -> str:
    """Run a container with labels of its own."""
    made = rig.client.create_container(
        rig.image,
        list(SCRIPTS[script].argv),
        labels=labels,
        host_config=rig.client.create_host_config(network_mode="none"),
    )["Id"]
    rig._made.append(made)
    if rig.fake is not None:
        rig.fake.behave(made, SCRIPTS[script].behaviour)
    rig.client.start(made)
    rig.ready(made)
    return str(made)


class TestRestart:
    @pytest.mark.parametrize("script", ["polite", "deaf"])
    def test_what_runs(self, rig: Rig, actor: LocalActor, script: str) -> None:
        one = rig.run(script)
        outcome = actor.perform(asked("restart", one, timeout=1))
        assert outcome.result is Result.DONE, outcome
        assert outcome.details["started_at"] == rig.state(one)["StartedAt"]
        assert cycles(rig, one) == 1
        assert actor.perform(asked("restart", one, timeout=1)) == outcome

    def test_what_is_paused(self, rig: Rig, actor: LocalActor) -> None:
        one = rig.run("polite")
        rig.client.pause(one)
        assert actor.perform(asked("restart", one)).result is Result.DONE
        assert cycles(rig, one) == 1

    def test_what_has_ended(self, rig: Rig, actor: LocalActor) -> None:
        one = rig.run("fails at once")
        rig.until_status(one, "exited")
        assert actor.perform(asked("restart", one)).result is Result.DONE

    @pytest.mark.parametrize("point", ["actor.after-start", "actor.before-call", "actor.after-call"])
    def test_after_the_actor_was_killed(self, rig: Rig, tmp_path: Path, point: str) -> None:
        one = labelled(rig, "polite", {LABEL: "restart"})
        with start(f"unix://{rig.path}", tmp_path, one, point) as doomed:
            doomed.communicate()
        assert doomed.returncode == -signal.SIGKILL
        with start(f"unix://{rig.path}", tmp_path, one) as second:
            assert second.communicate() == ("done\n", "")
        assert cycles(rig, one) == 1

    def test_after_the_actor_was_killed_while_the_engine_is_at_it(self, rig: Rig, tmp_path: Path) -> None:
        one = labelled(rig, "deaf", {LABEL: "restart"})
        with start(f"unix://{rig.path}", tmp_path, one, timeout=4) as doomed:
            rig.until(lambda: "kill" in rig.actions(one))
            doomed.kill()
        with start(f"unix://{rig.path}", tmp_path, one, timeout=4) as second:
            assert second.communicate() == ("done\n", "")
        assert cycles(rig, one) == 1
        kills = [event for event in rig.events(one) if event["Action"] == "kill"]
        assert [event["Actor"]["Attributes"]["signal"] for event in kills] == ["15", "9"]

    def test_whose_start_fails(self, rig: Rig, actor: LocalActor, tmp_path: Path) -> None:
        needed = tmp_path / "needed"
        needed.mkdir()
        mount = docker.types.Mount("/needed", str(needed), type="bind")
        one = rig.run("polite", mounts=[mount])
        needed.rmdir()
        if rig.fake is not None:
            rig.fake.behave(one, Behaviour(start_error=f"bind source path does not exist: {needed}"))
        outcome = actor.perform(asked("restart", one, timeout=5))
        assert outcome.result is Result.FAILED
        assert str(needed) in outcome.reason
        assert rig.state(one)["Status"] == "exited"
        assert "restart" not in rig.actions(one)
        # After a crash that lost the answer, the state tells the same.
        entry = actor._journal.find("one")
        assert entry is not None
        seen = VERBS["restart"].observe(actor._client, entry.request, entry.facts)
        assert str(needed) in str(seen)

    def test_of_what_an_engine_restart_brought_up_again(
        self, rig: Rig, client: EngineClient, actor: LocalActor
    ) -> None:
        one = rig.run("polite", restart_policy={"Name": "always"})
        request = asked("restart", one)
        facts = dict(VERBS["restart"].prepare(client, request))
        actor._journal.start(request, facts["name"], facts)
        rig.restart_engine()
        rig.until_status(one, "running")
        assert actor.standing("one") is Standing.STARTED
        assert actor.perform(request).result is Result.DONE
        assert "restart" not in rig.actions(one)


class TestStates:
    def test_from_one_to_the_next(self, rig: Rig, actor: LocalActor) -> None:
        one = rig.run("polite")
        for number, (verb, status) in enumerate(
            [
                ("pause", "paused"),
                ("unpause", "running"),
                ("stop", "exited"),
                ("start", "running"),
                ("kill", "exited"),
            ]
        ):
            outcome = actor.perform(asked(verb, one, id=str(number)))
            assert outcome.result is Result.DONE, (verb, outcome)
            rig.until_status(one, status)

    def test_a_start_that_fails(self, rig: Rig, actor: LocalActor) -> None:
        one = rig.make("cannot start")
        outcome = actor.perform(asked("start", one))
        assert outcome.result is Result.FAILED
        assert "/nope" in outcome.reason

    def test_a_signal_is_told_by_its_number(self, rig: Rig, actor: LocalActor) -> None:
        one = rig.run("polite")
        outcome = actor.perform(asked("kill", one, signal="SIGWINCH"))
        assert (outcome.result, outcome.details["signal"]) == (Result.DONE, 28)


class TestEventsThatAreRemembered:
    def test_all_of_them_until_they_are_too_many(self, rig: Rig, client: EngineClient) -> None:
        one = rig.run("polite")
        past = client.past_events(1, time.time_ns())
        assert [event.action for event in past.events if event.container_id == one] == ["create", "start"]
        begun = past.events[-1].time_ns
        # Not by pausing: an Engine asked to pause and unpause quickly takes its own late news for new ones.
        for _ in range(260):
            rig.client.kill(one, "SIGWINCH")
        later = client.past_events(1, time.time_ns())
        assert later.count == 256
        assert not later.reaches(begun)
        assert later.reaches(later.events[-1].time_ns)

    def test_a_restart_of_the_engine_forgets_them(self, rig: Rig, client: EngineClient) -> None:
        one = rig.run("polite")
        rig.restart_engine()
        past = client.past_events(1, time.time_ns())
        assert [
            event for event in past.events if event.container_id == one and event.action == "create"
        ] == []
        assert past.reaches(time.time_ns())


class TestExec:
    def test_a_command_runs_once(self, rig: Rig, client: EngineClient) -> None:
        one = rig.run("polite")
        prepared = client.create_exec(one, ["true", "and", "so on"])
        before = client.inspect_exec(prepared)
        assert (before["Running"], before["ExitCode"]) == (False, None)
        assert before["ProcessConfig"]["arguments"] == ["and", "so on"]
        client.start_exec(prepared)
        rig.until(lambda: client.inspect_exec(prepared)["ExitCode"] == 0)
        with pytest.raises(EngineRefused, match="has already run") as refused:
            client.start_exec(prepared)
        assert refused.value.status == 409

    def test_a_command_that_runs_is_not_started_again(self, rig: Rig, client: EngineClient) -> None:
        one = rig.run("polite")
        if rig.fake is not None:
            rig.fake.behave(one, Behaviour(exec_takes=60))
        prepared = client.create_exec(one, ["sleep", "60"])
        client.start_exec(prepared)
        rig.until(lambda: bool(client.inspect_exec(prepared)["Running"]))
        with pytest.raises(EngineRefused, match="is already running") as refused:
            client.start_exec(prepared)
        assert refused.value.status == 409

    def test_what_does_not_run_runs_nothing(self, rig: Rig, client: EngineClient) -> None:
        one = rig.run("polite")
        rig.client.pause(one)
        with pytest.raises(EngineRefused, match="is paused, unpause the container before exec"):
            client.create_exec(one, ["true"])
        rig.client.unpause(one)
        rig.client.stop(one, timeout=5)
        with pytest.raises(EngineRefused, match="is not running") as refused:
            client.create_exec(one, ["true"])
        assert refused.value.status == 409

    def test_what_becomes_of_commands_when_their_container_ends(self, rig: Rig, client: EngineClient) -> None:
        one = rig.run("deaf")
        if rig.fake is not None:
            rig.fake.behave(one, Behaviour(exec_takes=60))
        fresh, running = (client.create_exec(one, ["sleep", "60"]) for _ in range(2))
        client.start_exec(running)
        rig.until(lambda: bool(client.inspect_exec(running)["Running"]))
        rig.client.stop(one, timeout=0)
        rig.until(lambda: client.inspect_exec(running)["ExitCode"] == 137)
        for forgotten in (client.inspect_exec, client.start_exec):
            with pytest.raises(EngineNotFound):
                forgotten(fresh)
        with pytest.raises(EngineRefused, match="is not running") as refused:
            client.start_exec(running)
        assert refused.value.status == (409 if rig.modern else 500)
        rig.client.remove_container(one)
        with pytest.raises(EngineNotFound):
            client.inspect_exec(running)

    @pytest.mark.parametrize(("command", "code"), [("true", 0), ("sh -c 'exit 3'", 3)])
    def test_the_label_says_what_is_run(self, rig: Rig, actor: LocalActor, command: str, code: int) -> None:
        one = labelled(rig, "polite", {"compose-agent.exec.it": command})
        if rig.fake is not None:
            rig.fake.behave(one, Behaviour(exec_exit_code=code))
        outcome = actor.perform(asked("exec", one, name="it"))
        assert outcome.result is (Result.FAILED if code else Result.DONE)
        assert outcome.reason == (f"the command ended with exit code {code}" if code else "")


class TestVolumesWithoutAName:
    @pytest.mark.parametrize("kept", [False, True])
    def test_go_with_their_container_when_asked_for(self, rig: Rig, client: EngineClient, kept: bool) -> None:
        made = client.create("", body(rig, Volumes={"/data": {}}))
        (mount,) = client.inspect(made)["Mounts"]
        assert (mount["Type"], mount["Destination"], len(mount["Name"])) == ("volume", "/data", 64)
        client.remove(made, volumes=not kept)
        names = [each["Name"] for each in rig.client.volumes()["Volumes"] or ()]
        assert (mount["Name"] in names) is kept


def body(rig: Rig, **more: Any) -> Json:
    host = {"NetworkMode": "none"} | more.pop("HostConfig", {})
    return {"Image": rig.image, "Cmd": list(SCRIPTS["polite"].argv), "HostConfig": host} | more


@pytest.fixture
def networks(rig: Rig) -> Iterator[list[str]]:
    """Make two networks."""
    names = [f"verbs-{number}-{time.time_ns()}" for number in range(2)]
    for name in names:
        rig.client.create_network(name)
    yield names
    for name in names:
        with contextlib.suppress(docker.errors.APIError):
            rig.client.remove_network(name)


def shown(rig: Rig, reference: str) -> Json:
    """What has to be the same of a container that was made anew."""
    shape = rig.client.inspect_container(reference)
    config = {key: value for key, value in shape["Config"].items() if key != "Hostname"}
    host = {key: value for key, value in shape["HostConfig"].items() if key not in ("Binds", "Mounts")}
    mounts = sorted((each["Destination"], each["Source"], each["RW"]) for each in shape["Mounts"])
    aliases = {
        name: sorted(set(endpoint["Aliases"] or ()) - {shape["Id"][:12]})
        for name, endpoint in shape["NetworkSettings"]["Networks"].items()
    }
    return {"name": shape["Name"], "config": config, "host": host, "mounts": mounts, "aliases": aliases}


class TestRecreate:
    @pytest.fixture
    def one(self, rig: Rig, client: EngineClient, networks: list[str]) -> str:
        made = client.create(
            f"recreated-{time.time_ns()}",
            body(
                rig,
                Labels={"com.docker.compose.project": "p", "com.docker.compose.service": "web"},
                Env=["A=1"],
                Volumes={"/data": {}},
                HostConfig={
                    "NetworkMode": networks[0],
                    "Binds": ["named:/named:ro"],
                    "Mounts": [{"Type": "volume", "Target": "/other"}],
                    "CapDrop": ["NET_RAW"],
                    "Memory": 2**26,
                },
                NetworkingConfig={"EndpointsConfig": {networks[0]: {"Aliases": ["web"]}}},
            ),
        )
        rig._made.append(made)
        client.network_connect(networks[1], made, {"Aliases": ["api", "www"]})
        client.start(made)
        rig.ready(made)
        return made

    def test_it_is_another_one_and_the_same(self, rig: Rig, actor: LocalActor, one: str) -> None:
        before = shown(rig, one)
        assert [destination for destination, _, _ in before["mounts"]] == ["/data", "/named", "/other"]
        outcome = actor.perform(asked("recreate", one))
        assert outcome.result is Result.DONE, outcome
        new = outcome.details["id"]
        rig._made.append(new)
        assert new != one
        assert rig.state(new)["Status"] == "running"
        assert shown(rig, new) == before
        with pytest.raises(docker.errors.NotFound):
            rig.client.inspect_container(one)

    def test_the_old_one_comes_back_when_the_new_one_does_not_start(
        self, rig: Rig, actor: LocalActor, tmp_path: Path
    ) -> None:
        needed = tmp_path / "needed"
        needed.mkdir()
        one = rig.run("polite", mounts=[docker.types.Mount("/needed", str(needed), type="bind")])
        before = shown(rig, one)
        if rig.fake is None:
            # Looked for at a creation too: the way back begins at the first step.
            needed.rmdir()
        else:
            fault = Fault("POST /containers/create", "error", times=1, status=400, message=f"no {needed}")
            rig.fake.add_fault(fault)
        outcome = actor.perform(asked("recreate", one))
        assert outcome.result is Result.FAILED
        assert str(needed) in outcome.reason
        assert shown(rig, one) == before
        assert rig.state(one)["Running"]


class TestNetworks:
    def test_off_and_on_again(
        self, rig: Rig, client: EngineClient, actor: LocalActor, networks: list[str]
    ) -> None:
        one = client.create("", body(rig, HostConfig={"NetworkMode": networks[0]}))
        rig._made.append(one)
        client.network_connect(networks[1], one, {"Aliases": ["api"]})
        client.start(one)
        off = actor.perform(asked("network_disconnect", one, network=networks[1]))
        assert (off.result, off.details["aliases"]) == (Result.DONE, ["api"])
        assert list(client.inspect(one)["NetworkSettings"]["Networks"]) == [networks[0]]
        on = actor.perform(asked("network_connect", one, id="two", **off.details))
        assert on.result is Result.DONE
        endpoint = client.inspect(one)["NetworkSettings"]["Networks"][networks[1]]
        assert "api" in endpoint["Aliases"]
