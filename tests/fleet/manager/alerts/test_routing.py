"""Which host an alert is about, and what is said when none is."""

from __future__ import annotations

import pytest

from fleet.envelopes.alert import CAPABILITY
from fleet.manager.alerts.routing import Refused, route
from fleet.manager.hosts import Owner
from fleet.manager.model import Description, Peer
from fleet.manager.principal import LOCAL, Principal, Role
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight

WEB, DB, TWIN, OTHER, FOREIGN = (bytes([number]) * 16 for number in range(1, 6))
STAGING = Principal("staging", Role.OPERATOR, frozenset({"staging"}))


class Owners:
    def with_id(self, container: str) -> list[Owner]:
        found = {"aaaaaaaaaaaa": [Owner(WEB, "shop-web-1")], "cccccccccccc": [Owner(FOREIGN, "x")]}
        return found.get(container[:12], [])

    def with_name(self, name: str) -> list[Owner]:
        found = {"cache": [Owner(WEB, name), Owner(DB, name)], "shop-db-1": [Owner(DB, name)]}
        return found.get(name, [])


@pytest.fixture
def registry() -> Registry:
    made = Registry(lambda _transition: None)
    names = {WEB: "web", DB: "db", TWIN: "twin", OTHER: "twin", FOREIGN: "foreign"}
    for uid, name in names.items():
        node = made.hear(uid, Peer("websocket", ""), described=True)
        made.describe(node, Description(name, environment="staging" if uid == DB else "production"))
        node.custom = frozenset() if uid == FOREIGN else frozenset({CAPABILITY})
    return made


@pytest.mark.parametrize(
    ("labels", "host"),
    [
        ({"node_id": "web"}, "web"),
        ({"node_id": "db", "id": "aaaaaaaaaaaa"}, "db"),
        ({"id": "aaaaaaaaaaaa", "name": "shop-db-1"}, "web"),
        ({"container_id": "aaaaaaaaaaaa" + "0" * 52}, "web"),
        ({"name": "shop-db-1"}, "db"),
        ({"node_id": "", "id": "", "container": "shop-db-1"}, "db"),
    ],
)
def test_it_is_the_one_that_the_labels_name(labels: dict[str, str], host: str, registry: Registry) -> None:
    assert route(labels, Sight(registry, LOCAL), Owners()).node_id == host


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"node_id": "nowhere"}, "there is no node nowhere, which the label node_id names"),
        ({"node_id": "twin"}, "2 agents have the node id twin: give each host its own with agent.node-id"),
        ({"id": "bbbbbbbbbbbb"}, "no host has a container with the id bbbbbbbbbbbb"),
        (
            {"name": "cache"},
            "2 hosts have a container with the name cache (db, web): only the label node_id tells which",
        ),
        ({"name": "unknown"}, "no host has a container with the name unknown"),
        ({"id": "cccccccccccc"}, "the agent of foreign takes no alerts, or has not come yet"),
        ({"severity": "page"}, "it has no label that names a host or a container"),
    ],
)
def test_what_is_nobodys_is_refused_in_words(labels: dict[str, str], reason: str, registry: Registry) -> None:
    with pytest.raises(Refused) as caught:
        route(labels, Sight(registry, LOCAL), Owners())
    assert str(caught.value).startswith(reason)


def test_a_host_that_is_switched_off_gets_nothing(registry: Registry) -> None:
    registry.disable(registry.find("web")[0], disabled=True)
    with pytest.raises(Refused, match="web is switched off"):
        route({"node_id": "web"}, Sight(registry, LOCAL), Owners())


def test_who_sees_one_environment_reaches_no_host_of_another(registry: Registry) -> None:
    sight = Sight(registry, STAGING)
    with pytest.raises(Refused, match="there is no node web"):
        route({"node_id": "web"}, sight, Owners())
    with pytest.raises(Refused, match="no host has"):
        route({"id": "aaaaaaaaaaaa"}, sight, Owners())
    assert route({"name": "cache"}, sight, Owners()).node_id == "db"
