"""Whether an action helped, as a table over what the world shows after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compose_agent.dockerd.model import Container
from remediation.model import TargetKind
from remediation.policies.model import Verification
from remediation.verify import Missed, NotYet, Verified, verify
from remediation.world import World
from tests.remediation.samples import NOW, container, intent, replica

ACTED = NOW - 20
WEB = container("web")
DEFAULT = Verification()


def judged(world: World, asked: Verification = DEFAULT, now: float = NOW, **more: Any) -> object:
    """Return the verdict on a restart of web, 20 s after it."""
    chosen: dict[str, Any] = {"resolved": False, "query": None, **more}
    return verify(intent(acted_at=ACTED), asked, world, now, **chosen)


def web(**more: Any) -> World:
    """Return a world with one container, started when it was acted on."""
    return World((container("web", **{"health": "healthy", "started_at": ACTED, **more}),))


@pytest.mark.parametrize(
    ("world", "asked", "kind"),
    [
        (web(), Verification(), Verified),
        (web(health="none"), Verification(), Verified),
        (web(health="starting"), Verification(), NotYet),
        (web(health="unhealthy"), Verification(), NotYet),
        (web(health="unhealthy"), Verification(within=15), Missed),
        (web(state="exited"), Verification(within=15), Missed),
        (web(started_at=NOW - 5), Verification(), NotYet),  # it has started once more
        (web(), Verification(holds=30), NotYet),
        (World(()), Verification(), NotYet),
        (World(()), Verification(within=15), Missed),
        (World(web().containers, "no Engine"), Verification(), NotYet),
        (web(), Verification(resolved=True), NotYet),
        (web(), Verification(query="up"), NotYet),
        (replace(web(), behind=frozenset({WEB.id})), Verification(), NotYet),
    ],
)
def test_verdicts(world: World, asked: Verification, kind: type[object]) -> None:
    assert isinstance(judged(world, asked), kind)


def test_what_else_was_asked_for_must_hold() -> None:
    asked = Verification(resolved=True, query="up == 1")
    assert isinstance(judged(web(), asked, resolved=True, query=True), Verified)
    assert judged(web(), asked, resolved=True, query=None) == NotYet("the query could not be asked")
    assert judged(web(), asked, resolved=True, query=False) == NotYet("the query says it does not hold")


def test_every_replica_must_be_well() -> None:
    asked = intent("shop/web", TargetKind.SERVICE, acted_at=ACTED)
    for health, kind in (("healthy", Verified), ("starting", NotYet)):
        world = World((replica("shop", "web", 1), replica("shop", "web", 2, health=health)))
        assert isinstance(verify(asked, Verification(), world, NOW, resolved=False, query=None), kind)


def test_a_picture_from_before_the_action_shows_nothing() -> None:
    """Also if the container was well then, as one is that is restarted for what it takes of the memory."""
    facts = {
        "requests": [{"target": WEB.id}],
        "outcomes": [{"result": "done", "details": {"started_at": "2025-06-15T15:06:20.5Z"}}],
    }
    acted = intent(acted_at=ACTED, facts=facts)
    for started_at, kind in ((ACTED, NotYet), (ACTED + 0.5, Verified)):
        world = web(started_at=started_at)
        assert isinstance(verify(acted, DEFAULT, world, NOW, resolved=False, query=None), kind)


@pytest.mark.parametrize(
    ("action", "state", "kind"),
    [
        ("stop", "exited", Verified),
        ("stop", "running", NotYet),
        ("stop", "paused", NotYet),
        ("pause", "paused", Verified),
        ("pause", "running", NotYet),
        ("pause", "exited", NotYet),
        ("unpause", "running", Verified),
        ("unpause", "paused", NotYet),
    ],
)
def test_what_was_stopped_is_to_stand_still(action: str, state: str, kind: type[object]) -> None:
    acted = intent(action=action, acted_at=ACTED)
    verdict = verify(acted, DEFAULT, web(state=state, health="none"), NOW, resolved=False, query=None)
    assert isinstance(verdict, kind)


IN_GROUP = {"com.docker.compose.project": "shop", "compose-agent.failover.group": "db"}
ALL_RUN = {**IN_GROUP, "compose-agent.failover.mode": "active-active"}


def member(name: str, labels: dict[str, str], state: str = "running", **more: Any) -> Container:
    return container(name, state=state, labels=labels, **{"started_at": ACTED, **more})


@pytest.mark.parametrize(
    ("members", "missing"),
    [
        ([member("db", IN_GROUP, "exited"), member("spare", IN_GROUP)], ""),
        ([member("db", IN_GROUP), member("spare", IN_GROUP)], "db and spare run at the same time"),
        ([member("db", IN_GROUP, "exited"), member("spare", IN_GROUP, "exited")], "nobody of shop/db runs"),
        (
            [member("db", IN_GROUP, "exited"), member("spare", IN_GROUP, health="starting")],
            "spare is running and starting",
        ),
        (
            [member("db", IN_GROUP, "exited"), member("spare", IN_GROUP, started_at=NOW - 3)],
            "spare has run for 3 s only",
        ),
        ([member("a", ALL_RUN, health="unhealthy"), member("b", ALL_RUN)], ""),
        ([member("a", ALL_RUN, health="unhealthy")], "a is running and unhealthy"),
        ([], "shop/db is gone"),
    ],
)
def test_after_a_fail_over_one_runs_and_is_well(members: list[Container], missing: str) -> None:
    asked = intent("shop/db", TargetKind.GROUP, action="failover", acted_at=ACTED)
    verdict = verify(asked, DEFAULT, World(tuple(members)), NOW, resolved=False, query=None)
    assert verdict == (NotYet(missing) if missing else Verified("shop/db is well since 10 s"))
