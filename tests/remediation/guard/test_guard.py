"""The rules of the guard, each with the case in which it speaks and the nearest one in which it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.guard.case import Case, Limits
from remediation.guard.guard import judge
from remediation.guard.verdict import Go, Never, Wait
from remediation.model import Reason, TargetKind
from remediation.policies.model import Condition, Rate
from remediation.policies.model import Limits as PolicyLimits
from remediation.world import World
from tests.remediation.samples import NOW, container, intent, policy, replica

ONE_MORE = {"by": 1, "min": 1, "max": 3}
WEB = container("web", health="unhealthy")


def case(**more: Any) -> Case:
    """Return a case that may go, changed in what is named."""
    chosen: dict[str, Any] = {
        "intent": intent(),
        "policy": policy(),
        "world": World((WEB,)),
        "now": NOW,
        **more,
    }
    return Case(**chosen)


def replicas(*healths: str) -> World:
    """Return a world of one service with these healths."""
    return World([replica("shop", "web", number, health=each) for number, each in enumerate(healths, 1)])


def test_what_nothing_speaks_against_may_go() -> None:
    assert isinstance(judge(case()), Go)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"world": World(())}, Reason.NO_TARGET),
        (
            {"world": World((container("web", labels={"compose-agent.remediate": "scale"}),))},
            Reason.NOT_OPTED_IN,
        ),
        ({"world": World((replace(WEB, labels={}),))}, Reason.NOT_OPTED_IN),
        (
            {
                "policy": policy(condition=Condition.UNHEALTHY),
                "world": World((container("web", health="healthy"),)),
            },
            Reason.RECOVERED,
        ),
        ({"policy": policy(condition=Condition.NOT_RUNNING)}, Reason.RECOVERED),
        (
            {
                "world": World(
                    (stopped := container("web", state="exited"),), stopped_by_hand=frozenset({stopped.id})
                )
            },
            Reason.MANUAL_STOP,
        ),
        ({"policy": policy(dry_run=True)}, Reason.DRY_RUN),
        ({"limits": Limits(dry_run=True)}, Reason.DRY_RUN),
    ],
)
def test_what_is_never_done(changed: dict[str, Any], reason: Reason) -> None:
    verdict = judge(case(**changed))
    assert isinstance(verdict, Never)
    assert verdict.reason is reason
    assert verdict.detail


@pytest.mark.parametrize(
    ("changed", "reason", "seconds"),
    [
        ({"world": World((WEB,), "no Engine at unix:///x")}, Reason.ENGINE_AWAY, 1),
        ({"world": World((), unknown=1)}, Reason.ENGINE_AWAY, 1),
        ({"world": World((WEB,), behind=frozenset({WEB.id}))}, Reason.ENGINE_AWAY, 0),
        ({"frozen": "by ann: maintenance"}, Reason.FROZEN, 15),
        ({"policy": policy(approval=True)}, Reason.APPROVAL, 15),
        ({"silenced": "by ann until noon"}, Reason.SILENCED, 15),
        ({"busy": frozenset({"web"})}, Reason.REPLICAS, 1),
        ({"recent": (NOW - 4,)}, Reason.BACKOFF, 6),
        ({"recent": (NOW - 30, NOW - 4)}, Reason.BACKOFF, 16),
        ({"recent": tuple(NOW - each for each in range(4, 14))}, Reason.BACKOFF, 296),
        ({"breaker": Breaker(3, NOW - 100)}, Reason.BREAKER, 500),
        ({"breaker": Breaker(3, NOW - 700, trial=True)}, Reason.BREAKER, 1),
        (
            {"buckets": {"target:restart-unhealthy:container:web": Bucket(0.5, NOW)}},
            Reason.BUDGET,
            100,
        ),
        (
            {"limits": Limits(host=Rate(2, 20)), "buckets": {"host": Bucket(0, NOW - 5)}},
            Reason.BUDGET,
            5,
        ),
    ],
)
def test_what_has_to_wait(changed: dict[str, Any], reason: Reason, seconds: float) -> None:
    verdict = judge(case(**changed))
    assert isinstance(verdict, Wait)
    assert (verdict.reason, verdict.until) == (reason, NOW + seconds)
    assert verdict.detail


@pytest.mark.parametrize(
    "changed",
    [
        {"policy": policy(approval=True), "intent": intent(approved_by="ann")},
        {"world": World((WEB,), unknown=1)},
        {"recent": (NOW - 11,)},
        {"recent": (NOW - 700,)},
        {"breaker": Breaker(2, NOW)},
        {"breaker": Breaker(3, NOW - 601)},
        {"intent": intent(rung=1), "policy": policy(condition=Condition.NOT_RUNNING)},
    ],
)
def test_what_no_longer_has_to(changed: dict[str, Any]) -> None:
    assert isinstance(judge(case(**changed)), Go)


def test_a_policy_may_name_what_needs_no_label() -> None:
    unlabelled = World((replace(WEB, labels={}),))
    assert isinstance(judge(case(world=unlabelled)), Never)
    allowing = policy(target=replace(policy().target, allow=("w*",)))
    assert isinstance(judge(case(world=unlabelled, policy=allowing)), Go)


def test_a_project_that_is_being_deployed_is_left_alone() -> None:
    world = replace(replicas("unhealthy", "healthy"), deployments={"shop": NOW - 20})
    asked = case(intent=intent("shop-web-1"), world=world)
    verdict = judge(asked)
    assert isinstance(verdict, Wait)
    assert (verdict.reason, verdict.until) == (Reason.DEPLOYMENT, NOW + 40)
    assert isinstance(judge(replace(asked, policy=policy(during_deployment=True))), Go)
    assert isinstance(judge(replace(asked, world=replace(world, deployments={"shop": NOW - 61}))), Go)


@pytest.mark.parametrize(
    ("healths", "busy", "goes"),
    [
        (("healthy", "unhealthy"), (), False),  # the last healthy one
        (("healthy", "healthy"), (), True),
        (("unhealthy", "unhealthy"), (), True),
        (("healthy",), (), True),  # there is nobody to take its place in any case
        (("unhealthy", "unhealthy"), ("shop-web-2",), False),  # half of two is one
        (("unhealthy", "healthy", "healthy", "healthy"), ("shop-web-2",), True),
        (("unhealthy", "healthy", "healthy", "healthy"), ("shop-web-2", "shop-web-3"), False),
        (("healthy", "healthy", "starting", "starting"), ("shop-web-2",), False),
    ],
)
def test_enough_of_a_service_is_left_alone(
    healths: tuple[str, ...], busy: tuple[str, ...], goes: bool
) -> None:
    verdict = judge(case(intent=intent("shop-web-1"), world=replicas(*healths), busy=frozenset(busy)))
    assert isinstance(verdict, Go) is goes
    assert goes or (isinstance(verdict, Wait) and verdict.reason is Reason.REPLICAS)


def test_what_goes_takes_from_every_budget() -> None:
    asked = case(
        intent=intent("shop-web-1"), world=replicas("unhealthy", "healthy"), limits=Limits(host=Rate(10, 60))
    )
    verdict = judge(asked)
    assert isinstance(verdict, Go)
    assert {key: bucket.tokens for key, bucket in verdict.buckets.items()} == {
        "target:restart-unhealthy:container:shop-web-1": 2,
        "service:restart-unhealthy:shop/web": 5,
        "host": 9,
    }
    assert not isinstance(judge(replace(asked, buckets={"host": Bucket(0.9, NOW)})), Go)


def test_after_its_pause_a_breaker_allows_one_trial() -> None:
    verdict = judge(case(breaker=Breaker(3, NOW - 601)))
    assert isinstance(verdict, Go)
    assert verdict.breaker.trial
    assert isinstance(judge(case(breaker=verdict.breaker)), Wait)


def test_a_scaled_service_is_judged_as_a_whole() -> None:
    asked = case(
        intent=intent("shop/web", TargetKind.SERVICE, action="scale", arguments=ONE_MORE),
        policy=policy(limits=PolicyLimits(per_target=None)),
        world=replicas("healthy", "healthy"),
    )
    verdict = judge(asked)
    assert isinstance(verdict, Go)
    assert list(verdict.buckets) == ["service:restart-unhealthy:shop/web"]
    full = replace(asked, world=replicas("healthy", "healthy", "healthy"))
    assert isinstance(judge(full), Never)
    nobody = replace(asked, intent=intent("shop/none", TargetKind.SERVICE, action="scale"))
    assert isinstance(judge(nobody), Never)


def test_who_is_told_is_told_also_of_what_is_gone() -> None:
    told = case(intent=intent(action="notify"), world=World((), "no Engine"), recent=(NOW,))
    assert isinstance(judge(told), Go)
    assert isinstance(judge(replace(told, frozen="by ann")), Wait)


def test_what_is_frozen_can_be_approved_meanwhile() -> None:
    asked = case(policy=policy(approval=True), frozen="by ann")
    for intended, reason in ((intent(), Reason.APPROVAL), (intent(approved_by="bob"), Reason.FROZEN)):
        verdict = judge(replace(asked, intent=intended))
        assert isinstance(verdict, Wait)
        assert verdict.reason is reason


@pytest.mark.parametrize("joined", [WEB.id, "web"])
def test_who_would_be_restarted_with_it_must_have_agreed_too(joined: str) -> None:
    inner = container("inner", network_mode=f"container:{joined}")
    assert isinstance(judge(case(world=World((WEB, inner)))), Go)
    unasked = World((WEB, replace(inner, labels={})))
    verdict = judge(case(world=unasked))
    assert isinstance(verdict, Never)
    assert verdict.reason is Reason.NOT_OPTED_IN
    assert "inner has no label" in verdict.detail
    assert isinstance(judge(case(world=unasked, intent=intent(action="stop"))), Go)


def test_what_a_deployment_has_taken_away_for_a_moment_is_waited_for() -> None:
    service = intent("shop/web", TargetKind.SERVICE)
    for asked, project, kind in (
        (intent(), "any", Wait),
        (service, "shop", Wait),
        (service, "other", Never),
    ):
        world = World((), deployments={project: NOW - 59})
        verdict = judge(case(intent=asked, world=world))
        assert isinstance(verdict, kind)
        gone = judge(case(intent=asked, world=World((), deployments={project: NOW - 61})))
        assert isinstance(gone, Never)


def test_a_service_waits_for_its_containers() -> None:
    asked = case(
        intent=intent("shop/web", TargetKind.SERVICE),
        world=replicas("healthy", "unhealthy"),
        busy=frozenset({"shop-web-2"}),
    )
    verdict = judge(asked)
    assert isinstance(verdict, Wait)
    assert verdict.detail == "shop-web-2 is being acted on already"
    scaled = intent("shop/web", TargetKind.SERVICE, action="scale", arguments=ONE_MORE)
    assert isinstance(judge(replace(asked, intent=scaled)), Go)


IN_GROUP = {"com.docker.compose.project": "shop", "compose-agent.failover.group": "db"}
ALL_RUN = {**IN_GROUP, "compose-agent.failover.mode": "active-active"}


def group(*labels: dict[str, str], state: str = "exited") -> World:
    """Return a world of one fail-over group, of which the first is ill and the others stand still."""
    others = [
        container(f"spare-{number}", state=state, labels=each) for number, each in enumerate(labels[1:])
    ]
    return World((container("web", health="unhealthy", labels=labels[0]), *others))


@pytest.mark.parametrize("action", ["restart", "start", "recreate"])
def test_only_a_fail_over_starts_one_of_those_of_whom_one_may_run(action: str) -> None:
    verdict = judge(case(intent=intent(action=action), world=group(IN_GROUP, IN_GROUP)))
    assert isinstance(verdict, Never)
    assert verdict.reason is Reason.NOT_ALLOWED
    assert verdict.detail == "web is of the fail-over group shop/db, which alone decides who of it runs"


@pytest.mark.parametrize(
    ("action", "world"),
    [
        ("stop", group(IN_GROUP, IN_GROUP)),
        ("restart", group(IN_GROUP)),
        ("restart", group(ALL_RUN, ALL_RUN, state="running")),
    ],
)
def test_others_do_to_a_group_what_starts_nobody_beside_another(action: str, world: World) -> None:
    assert isinstance(judge(case(intent=intent(action=action), world=world)), Go)


@pytest.mark.parametrize(("target", "kind"), [("shop/db", TargetKind.GROUP), ("web", TargetKind.CONTAINER)])
def test_a_fail_over_needs_the_consent_of_all_who_may_lose_or_take_the_place(
    target: str, kind: TargetKind
) -> None:
    asked = case(intent=intent(target, kind, action="failover"), world=group(IN_GROUP, IN_GROUP))
    assert isinstance(judge(asked), Go)
    refused = group(IN_GROUP, {**IN_GROUP, "compose-agent.remediate": "scale"})
    verdict = judge(replace(asked, world=refused))
    assert isinstance(verdict, Never)
    assert verdict.reason is Reason.NOT_OPTED_IN
    assert "spare-0" in verdict.detail


def test_a_fail_over_respects_deployments_and_that_its_group_is_there() -> None:
    world = group(IN_GROUP, IN_GROUP)
    asked = case(intent=intent("shop/db", TargetKind.GROUP, action="failover"), world=world)
    deployed = judge(replace(asked, world=replace(world, deployments={"shop": NOW - 10})))
    assert isinstance(deployed, Wait)
    assert deployed.reason is Reason.DEPLOYMENT
    gone = judge(replace(asked, world=World(())))
    assert isinstance(gone, Never)
    assert gone.reason is Reason.NO_TARGET
