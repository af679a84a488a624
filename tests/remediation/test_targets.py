"""Which targets a rule finds, and why none."""

from __future__ import annotations

import pytest

from remediation.model import Reason, Target, TargetKind
from remediation.policies.model import TargetRule
from remediation.targets import Missing, find_targets
from remediation.world import World
from tests.remediation.samples import container, replica, signal

GROUP = TargetKind.GROUP
CONTAINER, SERVICE, SWARM = TargetKind.CONTAINER, TargetKind.SERVICE, TargetKind.SWARM_SERVICE
IN_GROUP = {"com.docker.compose.project": "shop", "compose-agent.failover.group": "db"}
WORLD = World(
    (
        replica("shop", "web", 1, labels={"tier": "front"}),
        replica("shop", "web", 2, labels={"tier": "front"}),
        container("proxy", labels={"tier": "front"}),
        container("db", labels={**IN_GROUP, "tier": "back"}),
        container("spare", labels=IN_GROUP),
    )
)


@pytest.mark.parametrize(
    ("rule", "labels", "names"),
    [
        (TargetRule(CONTAINER), {"name": "web"}, ["web"]),
        (TargetRule(CONTAINER, labels={"name": "container_name"}), {"container_name": "web"}, ["web"]),
        (TargetRule(SERVICE), {"compose_project": "shop", "compose_service": "web"}, ["shop/web"]),
        (TargetRule(SWARM), {"service_name": "web"}, ["web"]),
        (TargetRule(CONTAINER, only="shop-.*"), {"name": "shop-web-1"}, ["shop-web-1"]),
        (TargetRule(CONTAINER, selector={"tier": "front"}), {}, ["shop-web-1", "shop-web-2", "proxy"]),
        (TargetRule(CONTAINER, selector={"tier": "front"}, only="shop-.*"), {}, ["shop-web-1", "shop-web-2"]),
        (TargetRule(SERVICE, selector={"tier": "front"}), {}, ["shop/web"]),
        (TargetRule(GROUP), {"failover_group": "shop/db"}, ["shop/db"]),
        (TargetRule(GROUP, selector={"tier": "back"}), {}, ["shop/db"]),
    ],
)
def test_targets(rule: TargetRule, labels: dict[str, str], names: list[str]) -> None:
    found = find_targets(rule, signal(labels=labels), WORLD)
    assert not isinstance(found, Missing)
    assert list(found) == [Target(rule.kind, each) for each in names]


@pytest.mark.parametrize(
    ("rule", "labels", "reason"),
    [
        (TargetRule(CONTAINER), {}, Reason.NO_TARGET),
        (TargetRule(CONTAINER), {"name": ""}, Reason.NO_TARGET),
        (TargetRule(CONTAINER), {"name": "web\nrm"}, Reason.NO_TARGET),
        (TargetRule(CONTAINER), {"name": "w" * 256}, Reason.NO_TARGET),
        (TargetRule(SERVICE), {"compose_project": "shop"}, Reason.NO_TARGET),
        (TargetRule(CONTAINER, only="shop-.*"), {"name": "not-shop-web"}, Reason.NOT_ALLOWED),
        (TargetRule(CONTAINER, only="web"), {"name": "web2"}, Reason.NOT_ALLOWED),
        (TargetRule(CONTAINER, selector={"tier": "side"}), {}, Reason.NO_TARGET),
    ],
)
def test_no_target(rule: TargetRule, labels: dict[str, str], reason: Reason) -> None:
    missing = find_targets(rule, signal(labels=labels), WORLD)
    assert isinstance(missing, Missing)
    assert missing.reason is reason
    assert missing.detail
