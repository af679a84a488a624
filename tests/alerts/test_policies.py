"""The policies that come with the agent belong to the rules that come with it."""

from __future__ import annotations

import pytest

from remediation.arguments import DEFAULT_LEAST, DEFAULT_MOST
from remediation.failover.keeper import NAME as FAILOVER_SIGNAL
from remediation.model import TargetKind
from remediation.policies.load import Policies, load_policies
from remediation.triggers.scaler.service import NAME as SCALER_SIGNAL
from tests.alerts.rules import NAMES

ACTED_ON = {
    "ContainerUnhealthy",
    "ContainerExited",
    "ContainerMemoryNearLimit",
    "ServiceCpuSaturated",
    "ServiceCpuIdle",
}


@pytest.fixture(scope="module")
def policies() -> Policies:
    return load_policies(None)


def test_each_alert_that_an_action_can_mend_has_one_policy_and_no_other_has(policies: Policies) -> None:
    found = {name: [policy.name for policy in policies.matching({"alertname": name})] for name in NAMES}
    assert {name for name, matching in found.items() if matching} == ACTED_ON
    assert all(len(matching) <= 1 for matching in found.values())


def test_no_policy_is_for_an_alert_that_is_not_there(policies: Policies) -> None:
    known = ACTED_ON | {SCALER_SIGNAL, FAILOVER_SIGNAL}
    assert {matcher.value for policy in policies.policies for matcher in policy.match} == known


@pytest.mark.parametrize("name", ["ContainerUnhealthy", "ContainerExited", "ContainerMemoryNearLimit"])
def test_containers_are_restarted(policies: Policies, name: str) -> None:
    (policy,) = policies.matching({"alertname": name})
    assert [step.action for step in policy.ladder] == ["restart"]
    assert policy.target.kind is TargetKind.CONTAINER


def test_services_are_scaled_between_one_and_three(policies: Policies) -> None:
    for name in ("ServiceCpuSaturated", "ServiceCpuIdle"):
        (policy,) = policies.matching({"alertname": name})
        assert policy.target.kind is TargetKind.SERVICE
        for step in policy.ladder:
            assert step.action == "scale"
            assert (step.arguments["min"], step.arguments["max"]) == (DEFAULT_LEAST, DEFAULT_MOST) == (1, 3)
