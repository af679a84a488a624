from __future__ import annotations

import pytest

from compose_agent.dockerd.verbs.contract import Done, Failed, InProgress, Observation
from compose_agent.dockerd.verbs.swarm.rollout import followed, new_rollout
from compose_agent.dockerd.verbs.swarm.services import SwarmService

EARLIER, LATER = "2026-11-22T10:00:00Z", "2026-11-22T10:00:01Z"


def service(state: str = "", started_at: str = "") -> SwarmService:
    return SwarmService("id", 7, {"Name": "web"}, True, state, started_at, "why")


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ("", "", False),
        ("", LATER, True),
        (EARLIER, EARLIER, False),
        (EARLIER, LATER, True),
        (EARLIER, "", False),
    ],
)
def test_an_update_is_new_when_it_began_at_another_time(before: str, now: str, new: bool) -> None:
    assert new_rollout(service(started_at=now), {"update_started_at": before}) is new


@pytest.mark.parametrize(
    ("state", "wanted", "seen"),
    [
        ("updating", "completed", InProgress()),
        ("completed", "completed", Done({"update": "completed"})),
        ("paused", "completed", Failed("the update of web is paused: why")),
        ("rollback_started", "completed", InProgress()),
        ("rollback_completed", "completed", Failed("the update of web is rollback_completed: why")),
        ("rollback_paused", "rollback_completed", Failed("the update of web is rollback_paused: why")),
        ("rollback_completed", "rollback_completed", Done({"update": "rollback_completed"})),
    ],
)
def test_an_update_ends_as_swarm_says(state: str, wanted: str, seen: Observation) -> None:
    assert followed(service(state), wanted) == seen


@pytest.mark.parametrize(
    ("mode", "replicas"),
    [
        ({"Replicated": {"Replicas": 3}}, 3),
        ({"Replicated": {}}, 1),
        ({"Replicated": {"Replicas": 0}}, 0),
        ({"Global": {}}, None),
        ({"ReplicatedJob": {"TotalCompletions": 3}}, None),
    ],
)
def test_only_a_replicated_service_has_a_number(
    mode: dict[str, dict[str, int]], replicas: int | None
) -> None:
    found = SwarmService("id", 7, {"Name": "web", "Mode": mode}, False, "", "", "")
    assert found.replicas == replicas
