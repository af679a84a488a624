"""The keeper with a real journal and a recorded world: when it tells, and how a switch goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.errors import EngineError, EngineNotFound, EngineTimeout
from remediation.failover.active_passive import PassiveState
from remediation.failover.keeper import (
    NAME,
    SETTLED_SECONDS,
    TELL_AGAIN_FIRST_SECONDS,
    Keeper,
)
from remediation.failover.look import Ill, Sight
from remediation.failover.states import known, read_state
from remediation.failover.switch import Switch
from remediation.journal import Journal
from remediation.model import Signal, TargetKind
from remediation.triggers.memory import FolderMemory
from remediation.world import World
from tests.remediation.samples import NOW, container, intent

GROUP = "shop/db"
DONE = Outcome(result=Result.DONE)


def member(name: str, state: str = "running", **more: Any) -> Container:
    labels = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": name,
        "compose-agent.failover.group": "db",
        **{f"compose-agent.failover.{key}": text for key, text in more.pop("failover", {}).items()},
    }
    return container(name, state=state, labels=labels, **more)


class Host:
    """Containers that steps are carried out on, and a keeper that watches them."""

    def __init__(self, journal: Journal, folder: Path, *containers: Container) -> None:
        self.journal = journal
        self.now = NOW
        self.containers = {each.name: each for each in containers}
        self.ailing: set[str] = set()
        self.died: set[str] = set()
        self.errors: dict[str, EngineError] = {}
        self.world_error = ""
        self.unknown = 0
        self.told: list[Signal] = []
        self._folder = folder
        self.again()

    def again(self) -> None:
        """Begin anew, as after a crash."""
        sight = Sight(self.world, lambda: Ill(set(self.ailing), set(self.died)), self.inspect)
        self.keeper = Keeper(
            self.journal, sight, self.told.extend, FolderMemory(self._folder), now=lambda: self.now
        )

    def world(self) -> World:
        return World(tuple(self.containers.values()), self.world_error, unknown=self.unknown)

    def inspect(self, container_id: str) -> Mapping[str, Any]:
        each = next(one for one in self.containers.values() if one.id == container_id)
        if each.name in self.errors:
            raise self.errors[each.name]
        return {
            "Id": each.id,
            "Name": f"/{each.name}",
            "State": {"Status": each.state, "Pid": each.pid},
            "Config": {"Labels": dict(each.labels)},
            "NetworkSettings": {"Networks": {"shop_default": {"Aliases": [each.name]}}},
        }

    def be(self, name: str, state: str) -> None:
        each = self.containers[name]
        self.containers[name] = member(name, state, failover=_failover(each))

    def turn(self, seconds: float = 0.0) -> list[str]:
        """Let time pass and return what is told then: + for what fires, - for what resolves."""
        self.now += seconds
        before = len(self.told)
        self.keeper._turn()
        assert {each.name for each in self.told} <= {NAME}
        return [f"{'+' if each.firing else '-'}{each.labels['name']}" for each in self.told[before:]]

    def switch(self, target: str = GROUP, kind: TargetKind = TargetKind.GROUP, id: str = "i1") -> Switch:
        return self.keeper.course(intent(target, kind, id=id, action="failover", policy="failover"))

    def do(self, request: VerbRequest) -> str:
        name = next(each.name for each in self.containers.values() if each.id == request.target)
        if request.verb in ("stop", "start"):
            self.be(name, "running" if request.verb == "start" else "exited")
        return f"{request.verb} {name}"

    def carried_out(self, switch: Switch) -> list[str]:
        done = []
        while request := switch.next():
            done.append(self.do(request))
            switch.ended(DONE)
        return done

    def state(self) -> PassiveState:
        group = self.world().groups[GROUP][0]
        found = self.journal.read(lambda view: read_state(view, group))
        assert isinstance(found, PassiveState)
        return found


def _failover(each: Container) -> dict[str, str]:
    beginning = "compose-agent.failover."
    return {
        key.removeprefix(beginning): text for key, text in each.labels.items() if key.startswith(beginning)
    }


Make = Callable[..., Host]


@pytest.fixture
def make(journal: Journal, tmp_path: Path) -> Make:
    def made(*containers: Container) -> Host:
        db = member("db", failover={"role": "primary"})
        host = Host(journal, tmp_path, *(containers or (db, member("spare", "exited"))))
        host.turn()
        return host

    return made


def test_what_is_not_as_it_should_be_is_told_when_it_has_settled_and_resolves(make: Make) -> None:
    host = make()
    assert host.turn() == []
    host.ailing = {host.containers["db"].id}
    assert host.turn() == []
    assert host.turn(SETTLED_SECONDS) == ["+db"]
    (signal,) = host.told
    assert signal.labels["failover_group"] == GROUP
    assert signal.starts_at == NOW
    host.again()
    host.ailing = set()
    assert host.turn(1) == ["-db"]


def test_who_cannot_be_helped_is_told_of_again_less_and_less_often(make: Make) -> None:
    host = make()
    host.ailing = {host.containers["db"].id}
    host.turn()
    found = [at for at in range(1, 300) if host.turn(1)]
    assert found == [1, 31, 91, 211]
    assert TELL_AGAIN_FIRST_SECONDS == 30
    assert len({each.starts_at for each in host.told}) == 4


def test_nothing_is_told_while_nobody_can_tell(make: Make) -> None:
    host = make()
    host.ailing = {host.containers["db"].id}
    host.world_error = "the Engine is away"
    assert host.turn() == host.turn(60) == []
    host.world_error, host.unknown = "", 1
    assert host.turn() == host.turn(60) == []
    with pytest.raises(ActorUnavailable, match="1 containers could not be looked at yet"):
        host.switch().next()


def test_who_was_stopped_is_left_alone_and_who_died_is_not(make: Make) -> None:
    host = make()
    host.be("db", "exited")
    assert host.turn() == host.turn(1) == []
    host.died = {host.containers["db"].id}
    host.turn()
    assert host.turn(1) == ["+db"]
    assert host.carried_out(host.switch()) == ["start spare"]
    assert host.turn() == ["-db"]


def test_a_switch_goes_from_fencing_to_starting_and_is_told_of_in_the_audit(make: Make) -> None:
    host = make()
    host.ailing = {host.containers["db"].id}
    switch = host.switch()
    assert host.carried_out(switch) == ["stop db", "start spare"]
    assert switch.outcomes == [Outcome(result=Result.DONE, reason="stopped db, started spare")]
    entries = host.journal.read(lambda view: view.entries_about([GROUP], 9))
    assert [(each.kind, each.fields["action"], each.subjects["container"]) for each in entries] == [
        ("acted", "stop", "db"),
        ("acted", "start", "spare"),
    ]
    assert host.state().active == "spare"


def test_after_a_crash_the_same_step_is_asked_for_again(make: Make) -> None:
    host = make()
    host.ailing = {host.containers["db"].id}
    first = host.switch().next()
    host.again()
    switch = host.switch()
    assert switch.next() == first
    assert first is not None
    assert first.id == "i1.1"
    host.do(first)
    switch.ended(DONE)
    host.again()
    host.ailing = set()  # it stands still now, and is not asked
    assert host.carried_out(host.switch()) == ["start spare"]


def test_while_one_cannot_be_seen_nobody_is_started(make: Make) -> None:
    host = make()
    host.ailing = {host.containers["db"].id}
    switch = host.switch()
    stop = switch.next()
    assert stop is not None
    switch.ended(DONE)
    host.errors["db"] = EngineTimeout("no answer")
    with pytest.raises(ActorUnavailable, match="db cannot be seen: no answer"):
        switch.next()
    host.errors["db"] = EngineNotFound("no such container", status=404)
    assert (start := switch.next())
    assert host.do(start) == "start spare"


def test_one_that_cannot_be_fenced_has_no_successor(make: Make) -> None:
    host = make()
    host.ailing = {host.containers["db"].id}
    switch = host.switch()
    assert switch.next()
    switch.ended(Outcome(result=Result.UNKNOWN, reason="nobody knows"))
    assert switch.next() is None
    assert switch.outcomes == [Outcome(result=Result.UNKNOWN, reason="db could not be stopped: nobody knows")]
    # Until it works it is due, also when the one that failed is well again.
    host.ailing = set()
    host.turn()
    assert host.turn(1) == ["+db"]
    assert host.carried_out(host.switch(id="i2")) == ["stop db", "start spare"]


def test_when_nobody_can_be_started_that_is_said_and_the_first_one_is_tried_next(make: Make) -> None:
    host = make()
    host.ailing = {host.containers["db"].id}
    switch = host.switch()
    stop = switch.next()
    assert stop is not None
    host.do(stop)
    switch.ended(DONE)
    assert switch.next()
    switch.ended(Outcome(result=Result.FAILED, reason="no such file"))
    assert switch.next() is None
    assert switch.outcomes == [
        Outcome(result=Result.FAILED, reason=f"nobody of {GROUP} could be started (stopped db)")
    ]
    assert host.carried_out(host.switch(id="i2")) == ["start db"]


@pytest.mark.parametrize(
    ("target", "kind", "steps", "reason"),
    [
        ("db", TargetKind.CONTAINER, ["stop db", "start spare"], "stopped db, started spare"),
        ("shop/db", TargetKind.SERVICE, ["stop db", "start spare"], "stopped db, started spare"),
        ("spare", TargetKind.CONTAINER, [], "db has the place that spare is to leave"),
        ("gone", TargetKind.CONTAINER, [], "there is no one fail-over group of gone"),
        (GROUP, TargetKind.GROUP, [], f"{GROUP} was as it should be already"),
    ],
)
def test_by_hand_one_that_is_well_gives_up_its_place(
    make: Make, target: str, kind: TargetKind, steps: list[str], reason: str
) -> None:
    host = make()
    switch = host.switch(target, kind)
    assert host.carried_out(switch) == steps
    assert switch.outcomes[-1].reason == reason
    assert (switch.outcomes[-1].result is Result.REFUSED) == (not steps and kind is not TargetKind.GROUP)


def test_by_hand_nobody_leaves_a_group_in_which_all_run(make: Make) -> None:
    mode = {"mode": "active-active"}
    host = make(member("web-1", failover=mode), member("web-2", failover=mode))
    switch = host.switch("web-1", TargetKind.CONTAINER)
    assert switch.next() is None
    assert switch.outcomes[-1].result is Result.REFUSED


def test_a_replica_is_taken_out_and_brought_back(make: Make) -> None:
    mode = {"mode": "active-active"}
    host = make(member("web-1", failover=mode), member("web-2", failover=mode))
    host.ailing = {host.containers["web-1"].id}
    host.turn()
    assert host.turn(1) == ["+web-1"]
    switch = host.switch()
    request = switch.next()
    assert request == VerbRequest(
        id="i1.1",
        verb="network_disconnect",
        target=host.containers["web-1"].id,
        arguments={"network": "shop_default"},
        reason=f"it is ill, and others of {GROUP} are well",
    )
    switch.ended(DONE)
    assert host.turn() == ["-web-1"]


def test_a_group_that_is_gone_is_forgotten_and_one_with_wrong_labels_is_not(make: Make) -> None:
    host = make()
    assert host.journal.read(known) == {GROUP}
    wrong = member("db", failover={"mode": "active-active"})
    host.containers = {"db": wrong, "spare": host.containers["spare"]}
    host.turn()
    assert "labels compose-agent.failover.mode of one group differ" in host.keeper.problems["db"]
    assert host.journal.read(known) == {GROUP}
    host.containers = {"other": container("other")}
    host.turn()
    assert host.journal.read(known) == set()
