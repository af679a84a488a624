"""The engine over a real journal, a real actor and the fake Engine, from signals to ends of intents."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Budget
from compose_agent.dockerd.verbs.budget import Limits as ActorLimits
from compose_agent.dockerd.verbs.journal import Journal as VerbJournal
from compose_agent.dockerd.verbs.optin import OptIn
from compose_agent.dockerd.verbs.registry import VERBS
from lab.receiver import ScriptedReceiver
from remediation.actor import Hands, calling_hands
from remediation.engine import Engine
from remediation.guard.case import Limits
from remediation.journal import FREEZE_FLAG, Journal
from remediation.model import Intent, Reason, State
from remediation.ours import Ours
from remediation.planner import Planner
from remediation.policies.model import Limits as PolicyLimits
from remediation.policies.model import Policy, Rate, Step, Verification
from remediation.world import World
from tests.remediation.samples import policy, signal
from tests.remediation.test_planner import Policies

# Everything here takes milliseconds, on a machine that has nothing else to do.
WAIT_SECONDS = 30.0
OPTED_IN = {"compose-agent.remediate": "restart"}
UNLIMITED = Limits()
QUICK = PolicyLimits(backoff_first_seconds=0.0)
SOON = Verification(holds=0.0, within=WAIT_SECONDS)


class Quiet:
    """Nobody outside has anything to say."""

    def silenced(self, labels: Mapping[str, str]) -> str:
        """Return that nothing is silenced."""
        return labels.get("silenced", "")

    def holds(self, query: str) -> bool | None:
        """Return that nobody can be asked."""
        return None if query else True


@dataclass
class Active:
    """What is in force."""

    policies: Policies
    limits: Limits

    def policy(self, name: str) -> Policy | None:
        """Return a policy in force."""
        return next((each for each in self.policies.all if each.name == name), None)


class Rig:
    """An engine that can be stopped and started on the same state."""

    def __init__(self, path: Path, docker: FakeEngine, *policies: Policy, limits: Limits = UNLIMITED) -> None:
        self.docker = docker
        self._path = path
        self.active = Active(Policies(*policies), limits)
        self.start()

    def start(self) -> None:
        """Start everything."""
        self._client = EngineClient(find_endpoint(self.docker.url, {}))
        self._inventory = Inventory(self._client, heartbeat_seconds=0.2)
        self.journal = Journal(self._path)
        self._verbs = VerbJournal(self._path)
        self._actor = LocalActor(
            self._client, self._verbs, VERBS, OptIn(), Budget(ActorLimits(per_target=100, per_host=1000))
        )
        self._hands = calling_hands(Hands(self._actor, self._actor.close, self._verbs.close), lambda: None)
        self.engine = Engine(
            self.journal,
            actor=self._hands.actor,
            world=self._world,
            planner=Planner(lambda: self.active.policies, time.time),
            active=self.active,
            outside=Quiet(),
            ours=Ours(),
            workers=2,
        )
        self._inventory.start()
        self.engine.start()

    def stop(self) -> None:
        """Stop everything."""
        self._hands.let_go()
        self.engine.stop()
        self._inventory.stop()
        self._client.close()
        self._hands.close()
        self.journal.close()

    def _world(self) -> World:
        complete = self._inventory.wait_complete(0) and self._inventory.link().up
        return World(self._inventory.containers(), "" if complete else "not known yet")

    def intents(self) -> list[Intent]:
        """Return every intent, oldest first."""
        return [each for _, each in reversed(self.journal.read(lambda view: view.latest_intents(1000)))]

    def until(self, holds: Callable[[list[Intent]], object]) -> list[Intent]:
        """Wait until the intents are as they should be, and return them."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not holds(intents := self.intents()):
            assert time.monotonic() < deadline, intents
            time.sleep(0.02)
        return intents

    def frozen(self) -> bool:
        """Tell whether everything is frozen."""
        return self.journal.read(lambda view: view.flag(FREEZE_FLAG)) is not None

    def starts(self, name: str) -> int:
        """Return how often the Engine was asked to restart a container."""
        container_id = self.docker.inspect(name)["Id"]
        return self.docker.requests()[f"POST /containers/{container_id}/restart"]


def all_are(*states: State) -> Callable[[list[Intent]], bool]:
    """Return whether the intents are in these states."""
    return lambda intents: [each.state for each in intents] == list(states)


@pytest.fixture
def docker() -> Iterator[FakeEngine]:
    """Return a fake Engine with two containers."""
    with FakeEngine() as engine:
        engine.add_container("web", labels=OPTED_IN)
        engine.add_container("db")
        yield engine


@pytest.fixture
def make(tmp_path: Path, docker: FakeEngine) -> Iterator[Callable[..., Rig]]:
    """Return a function that makes a rig with these policies."""
    rigs: list[Rig] = []

    def made(*policies: Policy, **more: Limits) -> Rig:
        rigs.append(Rig(tmp_path, docker, *(policies or (policy(limits=QUICK, verify=SOON),)), **more))
        return rigs[-1]

    yield made
    for rig in rigs:
        rig.stop()


def test_a_signal_becomes_one_restart(make: Callable[..., Rig]) -> None:
    rig = make()
    rig.engine.receive([signal(), signal()])
    (intent,) = rig.until(all_are(State.DONE))
    assert rig.starts("web") == 1
    assert intent.acted_at >= intent.started_at >= intent.created_at > 0


def test_who_has_not_opted_in_is_left_alone(make: Callable[..., Rig]) -> None:
    rig = make()
    rig.engine.receive([signal("db")])
    (intent,) = rig.until(all_are(State.SUPPRESSED))
    assert intent.reason == Reason.NOT_OPTED_IN
    assert rig.starts("db") == 0


def test_what_does_not_help_leads_up_the_ladder_and_is_given_up(make: Callable[..., Rig]) -> None:
    never = Verification(holds=3600.0, within=0.3)
    rig = make(policy(limits=QUICK, verify=never, ladder=(Step("restart"), Step("stop"))))
    rig.engine.receive([signal()])
    first, second = rig.until(all_are(State.ESCALATED, State.FAILED))
    assert (first.action, second.action, second.rung) == ("restart", "stop", 1)
    assert "0 s after the action" in first.detail


def test_frozen_means_that_nothing_begins_until_it_is_thawed(make: Callable[..., Rig]) -> None:
    rig = make()
    rig.journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, "by ann"))
    rig.engine.receive([signal()])
    (waiting,) = rig.until(lambda intents: intents and intents[0].reason == Reason.FROZEN)
    assert (waiting.state, waiting.detail) == (State.PLANNED, "by ann")
    rig.journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, None))
    rig.until(all_are(State.DONE))


def test_more_than_there_ever_should_be_freezes_by_itself(
    make: Callable[..., Rig], docker: FakeEngine
) -> None:
    for number in range(6):
        docker.add_container(f"app{number}", labels=OPTED_IN)
    rig = make(policy(limits=QUICK, verify=None), limits=Limits(freeze_after=Rate(3, 600.0)))
    rig.engine.receive([signal(f"app{number}") for number in range(6)])
    intents = rig.until(lambda all_: sum(each.state is State.DONE for each in all_) == 3 and rig.frozen())
    assert sum(each.state is State.PLANNED for each in intents) == 3


def test_an_engine_that_is_away_is_waited_for(make: Callable[..., Rig], docker: FakeEngine) -> None:
    docker.stop_engine()
    rig = make()
    rig.engine.receive([signal()])
    rig.until(lambda intents: intents and intents[0].reason == Reason.ENGINE_AWAY)
    docker.start_engine()
    rig.until(all_are(State.DONE))
    assert rig.starts("web") == 1


def test_what_was_received_is_dealt_with_after_a_restart_and_not_again(make: Callable[..., Rig]) -> None:
    rig = make()
    rig.engine.stop()
    rig.journal.receive([signal()])
    rig.stop()
    rig.start()
    rig.until(all_are(State.DONE))
    rig.stop()
    rig.start()
    rig.engine.receive([signal()])
    rig.until(lambda _: not rig.journal.read(lambda view: view.inbox_size()))
    assert rig.starts("web") == 1


HOOK = {"method": "POST", "header": "Authorization", "timeout": 30.0}


def calling(receiver: ScriptedReceiver, body: str = '{"who": "${name}", "what": "${alertname}"}') -> Policy:
    """Return a policy whose restart never helps, and that then calls the receiver."""
    never = Verification(holds=3600.0, within=0.3)
    steps = (Step("restart"), Step("http", {**HOOK, "url": receiver.url, "body": body}))
    return policy(limits=QUICK, verify=never, ladder=steps)


def test_a_step_of_the_ladder_calls_others(make: Callable[..., Rig]) -> None:
    with ScriptedReceiver() as receiver:
        rig = make(calling(receiver))
        rig.engine.receive([signal(labels={"name": "web", "extra": '"}'})])
        _, call = rig.until(
            all_are(State.ESCALATED, State.FAILED)
        )  # the target is not well, whoever was told
        (post,) = receiver.posts
    assert post.body == {"who": "web", "what": "ContainerUnhealthy"}
    assert post.headers["Idempotency-Key"] == f"{call.id}.0"
    assert call.facts["outcomes"] == [{"result": "done", "reason": "", "details": {}}]
    # What is on disk is what was sent.
    assert call.facts["requests"][0]["arguments"]["body"] == '{"who": "web", "what": "ContainerUnhealthy"}'


def test_a_call_that_is_refused_has_failed(make: Callable[..., Rig]) -> None:
    with ScriptedReceiver() as receiver:
        receiver.answer(404)
        rig = make(calling(receiver))
        rig.engine.receive([signal()])
        _, call = rig.until(all_are(State.ESCALATED, State.FAILED))
        assert len(receiver.posts) == 1
    assert "has answered 404" in call.detail


def test_a_call_that_was_cut_off_is_made_again_as_it_was(make: Callable[..., Rig]) -> None:
    with ScriptedReceiver() as receiver:
        receiver.answer(503)
        rig = make(calling(receiver))
        rig.engine.receive([signal()])
        receiver.wait_for_posts(1)
        rig.stop()  # in the pause before the next attempt
        rig.active.policies = Policies(calling(receiver, body='"another"'))
        receiver.answer(200)
        rig.start()
        rig.until(all_are(State.ESCALATED, State.FAILED))
        keys = {post.headers["Idempotency-Key"] for post in receiver.posts}
        bodies = [post.body for post in receiver.posts]
    assert len(keys) == 1
    assert bodies == [{"who": "web", "what": "ContainerUnhealthy"}] * len(bodies)
