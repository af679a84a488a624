"""What labels can do to what is sent: stand in it, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compose_agent.config.resolve import default_value
from compose_agent.dockerd.verbs.model import Result
from remediation.actions import ACTIONS
from remediation.calls.rendering import NO_HELP, Occasion, rendered
from remediation.model import Intent
from remediation.policies.template import json_template, text_template
from tests.remediation.samples import NOW, intent

HOSTILE = [
    '"}, "admin": true, {"',
    "back\\slash\\",
    "line\nfeed\r\n\x00\x1b[2J",
    "\u2028\u2029\u202e größe 🐳",
    "${alertname}$$",
    "</script><b>",
    "'; DROP TABLE intents; --",
    "$(reboot)`reboot`",
    "%s%n{0}",
]


def call(action: str, **given: Any) -> Intent:
    """Return an intent with arguments as the policies' reader gives them."""
    values = {option.key: default_value(option) for option in ACTIONS[action].keys}
    known = {key: value for key, value in values.items() if value is not None}
    return intent(action=action, arguments={**known, **given})


@pytest.mark.parametrize("value", HOSTILE)
def test_a_label_stays_in_its_place_in_a_body(value: str) -> None:
    template = json_template.read('{"who": "${name}", "list": ["a ${name} b", 1], "cost": "$$5"}')
    arguments = rendered(call("http", url="http://h/x", body=template), Occasion({"name": value}, NOW))
    assert json.loads(arguments["body"]) == {"who": value, "list": [f"a {value} b", 1], "cost": "$5"}
    assert arguments["body"].isascii()
    assert (arguments["url"], arguments["method"], arguments["header"]) == (
        "http://h/x",
        "POST",
        "Authorization",
    )


@pytest.mark.parametrize("value", HOSTILE)
def test_a_label_stands_in_a_text_as_it_is(value: str) -> None:
    template = text_template.read("${name} costs $$5")
    notice = call("notify", through="webhook", url="http://h/x", text=template)
    arguments = rendered(notice, Occasion({"name": value}, NOW))
    assert arguments["text"] == f"{value} costs $5"
    assert json.loads(json.dumps(arguments)) == arguments
    assert (arguments["url"], arguments["through"], arguments["at"]) == ("http://h/x", "webhook", NOW)


def test_a_label_is_not_told_of_without_end() -> None:
    notice = call("notify", through="webhook", url="http://h/", text="${a}${a}")
    text = rendered(notice, Occasion({"a": "x" * 10_000_000}, NOW))["text"]
    assert len(text) == 2 * 4096


def test_without_a_text_it_says_what_about() -> None:
    notice = intent("we$b", action="notify", policy="p${x}", arguments={"through": "alertmanager"})
    assert rendered(notice, Occasion({"alertname": "Ill"}, NOW))["text"] == "Ill on we$b (policy p${x})"


def test_without_a_body_nothing_is_sent() -> None:
    assert "body" not in rendered(call("http", url="http://h/"), Occasion({}, NOW))


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([], NO_HELP),
        ([Result.DONE], NO_HELP),
        ([Result.DONE, Result.FAILED], "failed"),
        ([Result.UNKNOWN], "unknown"),
    ],
)
def test_a_notice_says_what_was_done_before(results: list[Result], said: str) -> None:
    before = intent(facts={"outcomes": [{"result": each} for each in results]})
    labels = rendered(call("notify", through="alertmanager"), Occasion({}, NOW, before))["labels"]
    assert labels == {
        "policy": "restart-unhealthy",
        "target": "container:web",
        "action": "restart",
        "result": said,
    }


def test_a_first_step_has_nothing_before_it() -> None:
    labels = rendered(call("notify", through="alertmanager"), Occasion({}, NOW))["labels"]
    assert labels.keys() == {"policy", "target"}
