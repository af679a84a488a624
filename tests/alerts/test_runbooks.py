"""Each alert has a runbook with four parts, which is right about what the agent does."""

from __future__ import annotations

import re

import pytest

from compose_agent.commands.roles import SCHEMA
from remediation.actions import ACTIONS
from remediation.policies.load import Policies, load_policies
from tests.alerts.rules import ALERTS, NAMES, RAISED

PARTS = ["**What Compose Agent does**", "**What to look at**", "**How to stop it**"]


@pytest.fixture(scope="module")
def policies() -> Policies:
    return load_policies(None)


def runbook(name: str) -> str:
    return (ALERTS / "runbooks" / f"{name}.md").read_text(encoding="utf-8")


def test_every_runbook_is_that_of_an_alert() -> None:
    assert {path.stem for path in ALERTS.glob("runbooks/*.md")} == {*NAMES} | RAISED


@pytest.mark.parametrize("name", [*NAMES, *RAISED])
def test_it_says_what_it_means_what_is_done_what_to_check_and_how_to_stop_it(name: str) -> None:
    text = runbook(name)
    assert text.startswith(f"# {name}\n\n")
    assert re.findall(r"^\*\*.*?\*\*", text, re.MULTILINE) == PARTS
    meaning, _, rest = text.partition(PARTS[0])
    assert len(meaning.split()) > 10
    assert re.search(r"\*\*What to look at\*\*\n\n- ", rest)


@pytest.mark.parametrize("name", [*NAMES, *RAISED])
def test_it_tells_of_the_policy_that_there_is(policies: Policies, name: str) -> None:
    text = " ".join(runbook(name).split())
    matching = policies.matching({"alertname": name})
    assert re.findall(r"\(policy `([\w-]+)`\)", text) == [policy.name for policy in matching]
    for policy in matching:
        (opt_in,) = {ACTIONS[step.action].opt_in for step in policy.ladder}
        assert f"has `{opt_in}`" in text


@pytest.mark.parametrize("name", [*NAMES, *RAISED])
def test_options_and_alerts_that_it_names_are_there(name: str) -> None:
    text = runbook(name)
    keys = re.findall(r"`((?:exporter|logs|remediation|broker)\.[\w.-]+)(?:: \w+)?`", text)
    assert {key for key in keys if "collector.NAME" not in key} <= set(SCHEMA.options)
    named = set(
        re.findall(r"\b((?:Container|Service|Host|Docker|Engine|Log|Remediation|Exporter)[A-Z]\w+)\b", text)
    )
    assert named - {"ContainerNAME"} <= {*NAMES}
