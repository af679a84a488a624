from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.envelopes.relay import CAPABILITY
from fleet.manager.describe import config_of, description_of, health_of
from fleet.manager.discovery import Asker, target_of, targets
from fleet.manager.documents import TargetGroup
from fleet.manager.model import Description, Health, Node, State
from fleet.manager.rows import problem_of
from fleet.opamp.attributes import ADVERTISE, Plain, from_attributes, to_attributes
from fleet.opamp.frames import MalformedMessage, from_body
from fleet.opamp.opamp_pb2 import AgentDescription, AgentToServer, ComponentHealth, EffectiveConfig
from fleet.opamp.uid import uid_text

UID = b"u" * 16


def described(**values: Plain) -> Description:
    attributes = {key.replace("__", "."): value for key, value in values.items()}
    return description_of(UID, AgentDescription(identifying_attributes=to_attributes(attributes)))


@pytest.mark.parametrize(
    ("values", "node_id"),
    [
        ({"compose_agent__node__id": "web", "service__instance__id": "x"}, "web"),
        ({"service__instance__id": "x", "host__name": "h"}, "x"),
        ({}, "75757575-7575-7575-7575-757575757575"),
    ],
)
def test_what_a_node_is_called(values: dict[str, Plain], node_id: str) -> None:
    assert described(**values).node_id == node_id


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (5, 5.0),
        (0.5, 0.5),
        (0, None),
        (-1, None),
        ("5", None),
        (True, None),
        (1e-300, 0.1),
        (1e300, 86_400.0),
        (float("nan"), None),
    ],
)
def test_an_interval_that_is_none_counts_as_not_given(value: Plain, interval: float | None) -> None:
    found = described(compose_agent__heartbeat__interval_seconds=value)
    assert found.interval == interval
    assert Node(UID, found).interval == (interval or 30.0)


def test_attributes_are_plain_values_and_back() -> None:
    values: dict[str, Plain | None] = {"a": "x", "b": True, "c": 7, "d": 0.5, "e": ["x", "y"], "f": None}
    assert from_attributes(to_attributes(values)) == {"a": "x", "b": True, "c": 7, "d": 0.5, "e": ["x", "y"]}


def test_a_long_text_is_cut() -> None:
    assert len(str(from_attributes(to_attributes({"a": "x" * 5000}))["a"])) == 1000


def test_more_attributes_than_anybody_reads_are_left_out() -> None:
    given = AgentDescription(identifying_attributes=to_attributes({f"a{n}": "x" for n in range(3000)}))
    assert len(description_of(UID, given).attributes) == 200
    assert len(from_attributes(to_attributes({"a": ["x" * 5000] * 5000}))["a"]) == 100  # type: ignore[arg-type]


def test_a_tree_of_health_has_a_most_of_parts() -> None:
    tree = ComponentHealth()
    for number in range(3000):
        tree.component_health_map[f"part-{number}"].component_health_map["below"].healthy = True

    def parts(one: Health) -> int:
        return 1 + sum(parts(each) for each in one.parts.values())

    assert parts(health_of(tree)) == 201


def test_a_configuration_that_is_too_long_is_cut() -> None:
    given = EffectiveConfig()
    for number in range(4):
        given.config_map.config_map[f"{number}.yml"].body = bytes(100_000)
    found = config_of(given)
    assert [len(text) for text in found.values()] == [100_000, 100_000, 262_144 - 200_000, 0]


def test_health_without_an_end_is_cut() -> None:
    tree = part = ComponentHealth(healthy=True)
    for _ in range(50):
        part = part.component_health_map["below"]
    found, depth = health_of(tree), 0
    while found.parts:
        found, depth = found.parts["below"], depth + 1
    assert depth == 6


def test_the_first_thing_that_is_wrong_is_named() -> None:
    tree = ComponentHealth(healthy=False, status="not ready: logs")
    tree.component_health_map["exporter"].healthy = True
    tree.component_health_map["logs"].last_error = "no sink"
    assert problem_of(health_of(tree)) == "logs: no sink"
    assert problem_of(health_of(ComponentHealth(healthy=True))) == ""
    assert problem_of(health_of(ComponentHealth())) == "not healthy"


def test_a_configuration_that_is_no_text_is_shown_as_far_as_it_is() -> None:
    given_ = EffectiveConfig()
    given_.config_map.config_map["a.yml"].body = b"a: \xff"
    assert config_of(given_) == {"a.yml": "a: \N{REPLACEMENT CHARACTER}"}


@given(st.binary(max_size=300))
def test_whatever_an_agent_says_is_taken(data: bytes) -> None:
    try:
        message = from_body(AgentToServer, data)
    except MalformedMessage:
        return
    description_of(UID, message.agent_description)
    health_of(message.health)
    config_of(message.effective_config)


@pytest.mark.parametrize(
    ("url", "outside", "target"),
    [
        ("http://0.0.0.0:9417", "10.0.0.5", "10.0.0.5:9417"),
        ("http://[::]:9417", "10.0.0.5", "10.0.0.5:9417"),
        ("https://10.0.0.7:9417", "10.0.0.5", "10.0.0.7:9417"),
        ("http://[fd00::7]:9417", "10.0.0.5", "[fd00::7]:9417"),
        ("http://0.0.0.0:9417", "fd00::5", "[fd00::5]:9417"),
        ("http://127.0.0.1:9417", "10.0.0.5", ""),
        ("http://127.0.0.1:9417", "127.0.0.1", "127.0.0.1:9417"),
        ("http://host", "10.0.0.5", ""),
        ("http://host:port", "10.0.0.5", ""),
        ("http://[", "10.0.0.5", ""),
    ],
)
def test_how_others_reach_a_listener(url: str, outside: str, target: str) -> None:
    assert target_of(url, outside) == target


ELSEWHERE = Asker("10.0.0.9", "https", "manager.example.com:4320")
HERE = Asker("127.0.0.1", "http", "127.0.0.1:4320")
TOLD = Description(
    "web", host="h", environment="e", address="10.0.0.5", listeners={"exporter": "https://0.0.0.0:9417"}
)
LABELS = {"node_id": "web", "host": "h", "role": "exporter", "environment": "e"}


def test_targets_are_those_of_agents_that_are_there() -> None:
    there = Node(UID, TOLD, state=State.LATE, peer_address="10.0.0.5")
    gone = Node(b"g" * 16, TOLD, state=State.OFFLINE, peer_address="10.0.0.6")
    direct = TargetGroup(["10.0.0.5:9417"], {**LABELS, "__scheme__": "https"})
    assert targets([there, gone], ELSEWHERE) == [direct]


@pytest.mark.parametrize(
    ("peer", "url", "advertised", "asker", "address"),
    [
        ("10.0.0.5", "http://0.0.0.0:9417", "", ELSEWHERE, "10.0.0.5:9417"),
        ("10.0.0.5", "http://127.0.0.1:9417", "", ELSEWHERE, "manager.example.com:4320"),
        ("192.0.2.1", "http://0.0.0.0:9417", "", ELSEWHERE, "manager.example.com:4320"),  # translated
        ("192.0.2.1", "http://0.0.0.0:9417", "web.example.com", ELSEWHERE, "web.example.com:9417"),
        ("10.0.0.5", "", "", ELSEWHERE, "manager.example.com:4320"),
        ("127.0.0.1", "http://127.0.0.1:9417", "", HERE, "127.0.0.1:9417"),
        ("127.0.0.1", "http://127.0.0.1:9417", "", ELSEWHERE, "manager.example.com:4320"),
        ("10.0.0.5", "http://127.0.0.1:9417", "", Asker("10.0.0.9", "https", "a/b"), None),
        ("10.0.0.5", "http://127.0.0.1:9417", "", Asker("10.0.0.9", "https", "m"), "m:443"),
        ("10.0.0.5", "http://127.0.0.1:9417", "", Asker("10.0.0.9", "http", "[fd00::1]"), "[fd00::1]:80"),
    ],
)
def test_what_is_not_reached_is_scraped_through_the_manager(
    peer: str, url: str, advertised: str, asker: Asker, address: str | None
) -> None:
    told = replace(
        TOLD,
        listeners={"exporter": url} if url else {},
        attributes={ADVERTISE: advertised} if advertised else {},
    )
    health = Health(True, parts={"exporter": Health(True)})
    node = Node(
        UID, told, health=health, state=State.ONLINE, peer_address=peer, custom=frozenset({CAPABILITY})
    )
    found = targets([node], asker)
    assert [group.targets for group in found] == ([[address]] if address else [])
    for group in found:
        through = address == asker.manager
        path = f"/api/v1/nodes/{uid_text(UID)}/metrics/exporter"
        assert group.labels.get("__metrics_path__") == (path if through else None)
        assert LABELS.items() <= group.labels.items()
