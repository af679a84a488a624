"""The engine over a real journal, a real actor and the fake Engine, from signals to ends of intents."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Budget
from compose_agent.dockerd.verbs.budget import Limits as ActorLimits
from compose_agent.dockerd.verbs.contract import Actor, ActorUnavailable
from compose_agent.dockerd.verbs.journal import Journal as VerbJournal
from compose_agent.dockerd.verbs.model import Outcome, Standing, VerbRequest
from compose_agent.dockerd.verbs.optin import OptIn
from compose_agent.dockerd.verbs.registry import VERBS
from compose_agent.matchers import Matcher
from lab.receiver import ScriptedReceiver
from remediation.actor import Hands, calling_hands
from remediation.engine import Engine
from remediation.guard.case import Limits
from remediation.journal import FREEZE_FLAG, Journal
from remediation.model import Intent, Reason, State, TargetKind
from remediation.operations import Operations
from remediation.ours import Ours
from remediation.planner import Planner
from remediation.policies.model import Condition, Policy, Rate, Step, TargetRule, Verification
from remediation.policies.model import Limits as PolicyLimits
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

    def holds(self, query: str, since: float) -> bool | None:
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


class Failing:
    """An actor that has the ``errors`` in it that it is given, and then none."""

    def __init__(self, real: Actor) -> None:
        self._real = real
        self.errors: list[Exception] = []

    def perform(self, request: VerbRequest) -> Outcome:
        """Raise the next error, or do it when there is none left."""
        if self.errors:
            raise self.errors.pop(0)
        return self._real.perform(request)

    def standing(self, request_id: str) -> Standing:
        """Return what is known of an id."""
        return self._real.standing(request_id)


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
        self._inventory = Inventory(self._client, heartbeat_seconds=0.2, on_look=self._looked)
        self.journal = Journal(self._path)
        self._verbs = VerbJournal(self._path)
        self._actor = LocalActor(
            self._client, self._verbs, VERBS, OptIn(), Budget(ActorLimits(per_target=100, per_host=1000))
        )
        self._hands = calling_hands(Hands(self._actor, self._actor.close, self._verbs.close), lambda: None)
        self.actor = Failing(self._hands.actor)
        self.engine = Engine(
            self.journal,
            actor=self.actor,
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
        behind = self._inventory.behind()
        return World(self._inventory.containers(), "" if complete else "not known yet", behind=behind)

    def _looked(self) -> None:
        self.engine.wake()

    def world_is_known(self) -> bool:
        """Tell whether every container was looked at."""
        return not self._world().engine_error

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
    people = Operations(rig.journal, rig.engine.wake)
    words = people.freeze("ann", "a move")
    rig.engine.receive([signal()])
    (waiting,) = rig.until(lambda intents: intents and intents[0].reason == Reason.FROZEN)
    assert (waiting.state, waiting.detail) == (State.PLANNED, words)
    people.thaw("ann", "")
    thawed = time.time()
    (acted,) = rig.until(all_are(State.DONE))
    assert acted.started_at < thawed + 10.0  # and not when it would have been asked about again


def test_what_fires_anew_while_it_is_verified_is_acted_on_afterwards(make: Callable[..., Rig]) -> None:
    rig = make(policy(limits=QUICK, verify=Verification(holds=3600.0, within=3.0)))
    rig.engine.receive([signal()])
    (first,) = rig.until(all_are(State.VERIFYING))
    rig.engine.receive([signal(starts_at=first.acted_at + 0.1)])
    _, second = rig.until(lambda found: len(found) == 2 and found[0].state is State.FAILED and found)
    assert second.episode != first.episode
    rig.until(lambda _: rig.starts("web") == 2)


def test_what_needs_no_engine_does_not_wait_behind_what_does(
    make: Callable[..., Rig], docker: FakeEngine
) -> None:
    """However much that is."""
    docker.stop_engine()
    chosen = TargetRule(TargetKind.CONTAINER, selector={"tier": "web"})
    matcher = Matcher("alertname", "=", "Chosen")
    rig = make(policy("chosen", target=chosen, match=(matcher,)), policy())
    waiting = [
        msgspec.structs.replace(signal(f"app{number}"), name="Chosen", fingerprint=f"f{number}")
        for number in range(450)
    ]
    rig.engine.receive([*waiting, signal()])
    rig.until(lambda found: [each.policy for each in found] == ["restart-unhealthy"])
    assert rig.journal.read(lambda view: view.inbox_size()) == len(waiting)
    docker.start_engine()
    rig.until(lambda _: not rig.journal.read(lambda view: view.inbox_size()))


def test_more_than_there_ever_should_be_freezes_by_itself(
    make: Callable[..., Rig], docker: FakeEngine
) -> None:
    for number in range(6):
        docker.add_container(f"app{number}", labels=OPTED_IN)
    rig = make(policy(limits=QUICK, verify=None), limits=Limits(freeze_after=Rate(3, 600.0)))
    rig.engine.receive([signal(f"app{number}") for number in range(6)])
    intents = rig.until(
        lambda all_: len(all_) == 6 and sum(each.state is State.DONE for each in all_) == 3 and rig.frozen()
    )
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


def test_a_fault_in_acting_leaves_no_intent_lying(make: Callable[..., Rig]) -> None:
    rig = make()
    rig.actor.errors = [ValueError("a mistake")]
    rig.engine.receive([signal()])
    rig.until(all_are(State.DONE))
    assert rig.starts("web") == 1


def test_a_fault_that_stays_ends_the_intent(make: Callable[..., Rig]) -> None:
    rig = make(policy(limits=QUICK, verify=SOON, ladder=(Step("restart"), Step("stop"))))
    rig.actor.errors = [ValueError("a mistake")] * 3
    rig.engine.receive([signal()])
    first, _ = rig.until(lambda found: len(found) == 2 and found[0].state is State.ESCALATED)
    assert "a mistake" in first.detail


def test_an_actor_that_cannot_be_asked_is_said(make: Callable[..., Rig]) -> None:
    rig = make()
    rig.actor.errors = [ActorUnavailable("no broker")]
    rig.engine.receive([signal()])
    rig.until(lambda _: rig.engine.workers.error == "no broker")
    rig.until(all_are(State.DONE))
    assert not rig.engine.workers.error


class Unlucky(Matcher):
    """Fails for one container, as only a mistake of ours can."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it matches."""
        if labels.get("name") == "cursed":
            raise RuntimeError("a mistake")
        return super().matches(labels)


def test_a_signal_that_nobody_can_deal_with_holds_up_no_other(make: Callable[..., Rig]) -> None:
    unlucky = Unlucky("alertname", "=", "ContainerUnhealthy")
    rig = make(policy(limits=QUICK, verify=SOON, match=(unlucky,)))
    rig.engine.receive([signal("cursed"), signal()])
    rig.until(all_are(State.DONE))
    (entry,) = [
        each
        for each in rig.journal.read(lambda view: view.entries_about({"fp-cursed"}, 9))
        if each.kind == "decided"
    ]
    assert entry.fields["decision"] == Reason.FAULT
    assert "a mistake" in entry.fields["detail"]


def test_an_intent_that_nobody_can_decide_holds_up_no_other(make: Callable[..., Rig]) -> None:
    odd = policy("odd", match=(Matcher("alertname", "=", "Odd"),), ladder=(Step("unheard-of"),))
    rig = make(odd, policy(limits=QUICK, verify=SOON))
    rig.engine.receive([msgspec.structs.replace(signal("db"), name="Odd"), signal()])
    cursed, _ = rig.until(all_are(State.SUPPRESSED, State.DONE))
    assert (cursed.reason, "unheard-of" in cursed.detail) == (Reason.FAULT, True)


def frozen(make: Callable[..., Rig], *policies: Policy) -> Rig:
    """Return a rig in which an intent is planned, and everything is frozen."""
    rig = make(*policies)
    rig.journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, "by ann"))
    rig.engine.receive([signal()])
    rig.until(lambda intents: intents and intents[0].reason == Reason.FROZEN)
    return rig


def thaw(rig: Rig) -> None:
    """Let everything go on."""
    rig.journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, None))


@pytest.mark.parametrize("ladder", [(Step("stop"),), (Step("stop"), Step("restart"))])
def test_a_policy_that_was_changed_is_followed_as_it_is_now(
    make: Callable[..., Rig], ladder: tuple[Step, ...]
) -> None:
    rig = frozen(make)
    rig.active.policies = Policies(policy(limits=QUICK, verify=None, ladder=ladder))
    thaw(rig)
    before, after = rig.until(all_are(State.SUPPRESSED, State.DONE))
    assert (before.reason, after.action) == (Reason.NO_POLICY, "stop")
    assert rig.starts("web") == 0


def test_a_step_that_is_no_longer_on_the_ladder_is_not_taken(make: Callable[..., Rig]) -> None:
    rig = frozen(make)
    second = msgspec.structs.replace(rig.intents()[0], rung=1)
    rig.journal.write(lambda tx: tx.put_intent(second))
    thaw(rig)
    (ended,) = rig.until(all_are(State.SUPPRESSED))
    assert (ended.reason, "step 2" in ended.detail) == (Reason.NO_POLICY, True)


def test_a_target_that_the_policy_may_no_longer_touch_is_left_alone(make: Callable[..., Rig]) -> None:
    rig = frozen(make)
    rig.active.policies = Policies(policy(target=replace(policy().target, only="db.*")))
    thaw(rig)
    (ended,) = rig.until(all_are(State.SUPPRESSED))
    assert ended.reason == Reason.NO_POLICY


def test_another_configuration_is_asked_at_once_about_what_waits(make: Callable[..., Rig]) -> None:
    rig = make(policy(limits=PolicyLimits(backoff_first_seconds=600, backoff_last_seconds=600), verify=SOON))
    rig.engine.receive([signal()])
    rig.until(all_are(State.DONE))
    rig.engine.receive([signal(firing=False), signal(starts_at=time.time())])
    rig.until(lambda intents: intents[-1].reason == Reason.BACKOFF)
    rig.active.policies = Policies(policy(limits=QUICK, verify=SOON))
    rig.engine.reconsider()
    rig.until(all_are(State.DONE, State.DONE))


def test_what_an_event_tells_is_judged_by_a_look_after_it(
    make: Callable[..., Rig], docker: FakeEngine
) -> None:
    """However long a look takes: that it was healthy before must not be the last word."""
    rig = make(policy(limits=QUICK, verify=SOON, condition=Condition.UNHEALTHY))
    rig.until(lambda _: rig.world_is_known())
    docker.add_fault(Fault("GET /containers/*/json", "slow", seconds=3.0, times=1))
    docker.set_health("web", "unhealthy")
    rig.until(lambda _: rig._inventory.behind())
    rig.engine.receive([signal()])
    (intent,) = rig.until(lambda intents: intents and (intents[0].acted_at or intents[0].ended_at))
    assert (intent.reason, rig.starts("web")) == ("", 1)
