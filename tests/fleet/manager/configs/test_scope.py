from __future__ import annotations

import pytest

from compose_agent.config.kinds import Detail
from fleet.manager.configs.scope import Scope, parse_scope
from fleet.manager.model import Description
from fleet.opamp.uid import uid_text

UID = bytes(range(1, 17))
WEB = Description("web-1", service="compose-agent", role="worker", environment="staging", tags=("eu", "big"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("all", True),
        ("environment=staging", True),
        ("environment=production", False),
        ("environment=staging,role=worker", True),
        ("environment=staging,role=manager", False),
        ("tag=eu", True),
        ("tag=us", False),
        ("node=web-1", True),
        (f"node={uid_text(UID)}", True),
        ("node=web-2", False),
        ("service=compose-agent", True),
        ("service=otelcol", False),
    ],
)
def test_an_agent_is_meant(text: str, meant: bool) -> None:
    assert parse_scope(text).matches(UID, WEB) is meant


@pytest.mark.parametrize("text", ["all", "environment=staging,role=worker", "service=a,node=b"])
def test_a_scope_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_scope(text)) == text


def test_the_order_in_which_something_is_named_says_nothing() -> None:
    assert parse_scope("role=worker, environment=staging") == parse_scope("environment=staging,role=worker")


def test_the_stronger_word_counts_more_than_any_number_of_weaker_ones() -> None:
    texts = [
        "all",
        "service=a",
        "environment=a",
        "service=a,environment=a",
        "role=a",
        "environment=a,role=a",
        "tag=a",
        "service=a,environment=a,role=a,tag=a",
        "node=a",
        "tag=a,node=a",
    ]
    ranks = [parse_scope(text).rank for text in texts]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no scope: expected all, or some of service, environment, role, tag, node"),
        ("everybody", "is no scope"),
        ("rack=7", "is no scope"),
        ("role=a,role=b", "is no scope"),
        ("role=", "cannot be the role of a scope"),
        ("role=a=b", "cannot be the role of a scope"),
        (f"tag={'x' * 201}", "expected at most 200 characters"),
    ],
)
def test_what_is_no_scope_is_refused(text: str, said: str) -> None:
    with pytest.raises(Detail, match=said):
        parse_scope(text)


def test_everybody_is_the_scope_that_names_nothing() -> None:
    assert parse_scope("all") == Scope()
