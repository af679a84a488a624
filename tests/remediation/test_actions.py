from __future__ import annotations

import json

import pytest

from compose_agent.config.resolve import default_value
from compose_agent.dockerd.verbs import optin
from compose_agent.dockerd.verbs.registry import VERBS
from remediation.actions import ACTIONS, RESTART, SCALE, Action, opt_in_word
from remediation.model import TargetKind

EACH = pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name)


@EACH
def test_help_is_one_line_and_arguments_are_named_once(action: Action) -> None:
    assert action.help.endswith(".")
    assert "\n" not in action.help
    keys = [option.key for option in action.keys]
    assert len(keys) == len(set(keys))
    assert set(action.required) <= set(keys)


@EACH
def test_defaults_travel_as_json(action: Action) -> None:
    values = {option.key: default_value(option) for option in action.keys}
    assert json.loads(json.dumps(values)) == values


def test_the_words_are_those_of_the_label() -> None:
    assert {action.opt_in for action in ACTIONS.values()} - {""} == {RESTART, SCALE} == optin.ACTIONS


@pytest.mark.parametrize("name", sorted(set(VERBS) & set(ACTIONS)))
def test_a_verb_asks_for_the_same_word_as_its_action(name: str) -> None:
    assert VERBS[name].action == opt_in_word(name)


@pytest.mark.parametrize("name", ["restart", "stop", "start", "pause", "unpause", "kill"])
def test_what_is_done_to_containers_is_done_to_a_service_too(name: str) -> None:
    assert ACTIONS[name].targets == (TargetKind.CONTAINER, TargetKind.SERVICE)
