from __future__ import annotations

import pytest

from compose_agent.config.kinds import Detail
from fleet.manager.model import Description, Node, State
from fleet.manager.selector import parse_selector
from fleet.opamp.uid import new_uid


def node(**given: object) -> Node:
    return Node(new_uid(), Description("web-1", **given), state=State.ONLINE)  # type: ignore[arg-type]


WEB = node(host="a", role="worker", tags=("eu", "big"), environment="staging", capacity=4)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('id="web-1"', True),
        ("id=~web-.*, role=worker", True),
        ("id=~web-.*, role=manager", False),
        ("tag=eu", True),
        ("tag=us", False),
        ("tag=~e.|us", True),
        ("tag!=us", True),
        ("tag!=eu", False),
        ("tag!~b.*", False),
        ("capacity=4", True),
        ("environment=staging, state=online", True),
        ('host=""', False),
    ],
)
def test_a_node_is_meant(text: str, meant: bool) -> None:
    assert parse_selector(text).selects(WEB) is meant


@pytest.mark.parametrize(("text", "meant"), [('tag=""', True), ("tag!=eu", True), ("tag=eu", False)])
def test_a_node_without_tags(text: str, meant: bool) -> None:
    assert parse_selector(text).selects(node()) is meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hots=a", "nodes have no 'hots', did you mean 'host'?"),
        (" ", "expected"),
        ("host", "is no list of matchers: expected one of ="),
        ('host=~"("', "is no selector|regular expression|expected"),
    ],
)
def test_what_selects_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(Detail, match=said):
        parse_selector(text)
