from __future__ import annotations

import pytest

from compose_agent.dockerd.model import Container
from remediation.failover.groups import attachment_of, groups_of
from remediation.failover.model import Attachment, Group, Life, Member, Mode, Role


def container(
    name: str, state: str = "running", health: str = "none", restart_policy: str = "no", **labels: str
) -> Container:
    own = {f"compose-agent.failover.{key}": text for key, text in labels.items()}
    all_labels = {"com.docker.compose.project": "shop", **own}
    return Container(name, name, "x", "", state, health, labels=all_labels, restart_policy=restart_policy)


def test_labels_make_a_group_of_one_project() -> None:
    first = container("db", group="db", role="primary", alias="database")
    second = container("spare", "exited", group="db", network="back")
    groups, problems = groups_of([first, second, container("other")], ailing={"db"})
    assert problems == {}
    assert groups == {
        Group("shop/db", Mode.ACTIVE_PASSIVE, "database", "back"): [
            Member("db", "db", Role.PRIMARY, Life.RUNNING, ailing=True),
            Member("spare", "spare", Role.STANDBY, Life.STOPPED),
        ]
    }


@pytest.mark.parametrize(
    ("state", "life"),
    [
        ("running", Life.RUNNING),
        ("paused", Life.RUNNING),
        ("restarting", Life.RUNNING),
        ("created", Life.STOPPED),
        ("exited", Life.STOPPED),
        ("removing", Life.GONE),
        ("dead", Life.GONE),
    ],
)
def test_what_may_run_counts_as_running(state: str, life: Life) -> None:
    ((member,),) = groups_of([container("a", state, group="g")])[0].values()
    assert member.life is life


def test_only_one_that_was_seen_to_die_has_died() -> None:
    ((member,),) = groups_of([container("a", "exited", group="g")], died={"a"})[0].values()
    assert member.life is Life.DIED


def test_an_unhealthy_container_is_ill() -> None:
    ((member,),) = groups_of([container("a", health="unhealthy", group="g")])[0].values()
    assert member.ailing


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"role": "boss"}, "label compose-agent.failover.role: expected one of primary, standby, not 'boss'"),
        ({"mode": "active-active"}, "labels compose-agent.failover.mode of one group differ"),
        ({"alias": "other"}, "labels compose-agent.failover.alias of one group differ"),
        ({"restart_policy": "always"}, "the restart policy of b is 'always'"),
        ({"roll": "primary"}, "did you mean 'compose-agent.failover.role'?"),
    ],
)
def test_labels_that_do_not_fit_are_said(labels: dict[str, str], said: str) -> None:
    first, second = container("a", group="g", alias="db"), container("b", group="g", **labels)
    _, problems = groups_of([first, second])
    assert said in problems["b"]


def test_an_attachment_is_read_from_an_inspect() -> None:
    inspect = {
        "Id": "0123456789abcdef",
        "Config": {"Labels": {"com.docker.compose.project": "shop"}},
        "NetworkSettings": {
            "Networks": {
                "back": {"Aliases": ["web", "0123456789ab"], "IPAMConfig": {"IPv4Address": "10.1.0.9"}},
                "front": None,
                "shop_side": {},
            }
        },
    }
    assert attachment_of(inspect) == Attachment("back", ("web",), "10.1.0.9")
    assert attachment_of(inspect, "front") == Attachment("front")
    assert attachment_of(inspect, "side") == Attachment("shop_side")
    assert attachment_of(inspect, "other") is None
    assert attachment_of({}) is None
