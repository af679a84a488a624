from __future__ import annotations

import pytest

from fleet.manager.model import Description, Node, State
from fleet.manager.selector import parse_selector

NODE = Node(
    b"u" * 16,
    Description(
        "web-1",
        host="h1",
        role="worker",
        environment="staging",
        capacity=4,
        tags=("eu", "big"),
        version="1.2",
        service="compose-agent",
        address="10.0.0.1",
    ),
    state=State.ONLINE,
)
BARE = Node(b"v" * 16, None, state=State.LATE)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ('id="web-1"', True),
        ('{id="web-1", role="worker"}', True),
        ('id=~"web-.*", role!="manager"', True),
        ('id="web-2"', False),
        ('environment="staging"', True),
        ('environment!="staging"', False),
        ("capacity=4", True),
        ('capacity=~"[1-3]"', False),
        ('tag="eu"', True),
        ('tag="eu", tag="big"', True),
        ('tag="us"', False),
        ('tag!="us"', True),
        ('tag!="eu"', False),  # it has the tag, whatever others it has
        ('tag=~"b.*"', True),
        ('tag!~"b.*"', False),
        ('tag=""', False),
        ('state="online", host="h1", version="1.2", address="10.0.0.1"', True),
        ('service=~"compose.*"', True),
    ],
)
def test_matchers_over_what_a_node_is(text: str, means: bool) -> None:
    assert parse_selector(text).selects(NODE) is means


@pytest.mark.parametrize(
    ("text", "means"), [('id=~".+"', True), ('role=""', True), ('tag=""', True), ('tag="eu"', False)]
)
def test_what_is_not_known_is_empty(text: str, means: bool) -> None:
    assert parse_selector(text).selects(BARE) is means


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("enviroment!=prod", "'enviroment'"),
        ("id=~(", ""),
        ("id", "one of = !="),
    ],
)
def test_what_is_no_selector_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".*") as refused:
        parse_selector(text)
    assert words in str(refused.value)
