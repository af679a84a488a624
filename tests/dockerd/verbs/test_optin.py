from __future__ import annotations

import pytest

from compose_agent.dockerd.verbs.optin import LABEL, OptIn, words
from compose_agent.dockerd.verbs.registry import VERBS


@pytest.mark.parametrize(
    ("label", "allowed", "unknown"),
    [
        ("restart", {"restart"}, ()),
        ("restart,scale", {"restart", "scale"}, ()),
        (" Scale , RESTART ", {"restart", "scale"}, ()),
        ("true", {"restart"}, ()),
        ("true,scale", {"restart", "scale"}, ()),
        ("false", set(), ()),
        ("", set(), ()),
        (",,", set(), ()),
        ("restrat", set(), ("restrat",)),
        ("restart,reboot", {"restart"}, ("reboot",)),
    ],
)
def test_a_label_is_made_of_words(label: str, allowed: set[str], unknown: tuple[str, ...]) -> None:
    assert words(label) == (frozenset(allowed), unknown)


@pytest.mark.parametrize(
    ("labels", "action", "refusal"),
    [
        ({LABEL: "restart"}, "restart", ""),
        ({LABEL: "scale"}, "scale", ""),
        ({}, "restart", "web has no label compose-agent.remediate=restart, so nothing is done to it"),
        (
            {LABEL: "scale"},
            "restart",
            "the label compose-agent.remediate=scale of web does not allow restart",
        ),
        (
            {LABEL: "restrat"},
            "restart",
            f"the label {LABEL}=restrat of web does not allow restart; 'restrat' in it means nothing",
        ),
    ],
)
def test_a_label_allows_or_says_why_not(labels: dict[str, str], action: str, refusal: str) -> None:
    assert OptIn().refusal("web", labels, action) == refusal


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        (("web",), "web", True),
        (("shop-*",), "shop-web-1", True),
        (("shop-*",), "my-shop-web-1", False),
        (("db", "w?b"), "web", True),
        (("WEB",), "web", False),
        ((), "web", False),
    ],
)
def test_names_that_the_hosts_owner_gave_are_allowed(
    patterns: tuple[str, ...], name: str, allowed: bool
) -> None:
    assert (OptIn(patterns).refusal(name, {}, "restart") == "") is allowed


def test_what_is_done_to_one_container_is_of_the_word_restart() -> None:
    single = {"restart", "stop", "start", "pause", "unpause", "kill", "exec", "recreate"}
    single |= {"network_connect", "network_disconnect"}
    assert single <= VERBS.keys()
    assert {VERBS[name].action for name in single} == {"restart"}
