"""docs/logs.md says of triggers what the code does, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from compose_agent.cloudevents import PATH
from compose_agent.commands.roles import SCHEMA
from compose_agent.config import ConfigSource
from log_forwarder.settings import ForwarderSettings
from log_forwarder.sinks.remediation import cloudevent, matches
from log_forwarder.sinks.remediation.matches import patterns_of
from log_forwarder.transforms.hints import hints_of
from log_forwarder.transforms.patterns import MOST_CHARACTERS
from tests.log_forwarder.making import container
from tests.log_forwarder.transforms.building import event

PAGE = (Path(__file__).parents[4] / "docs" / "logs.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Triggers\n")[2].partition("\n## ")[0]
CONFIGURATION, LABELS = re.findall(r"^```yaml\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


def test_the_examples_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "agent.yml"
    file.write_text(CONFIGURATION)
    triggers = ConfigSource(SCHEMA, {}, {}, file).load().of(ForwarderSettings).triggers
    assert triggers is not None
    assert list(triggers) == ["oom", "disk-full"]
    box = container(labels=yaml.safe_load(LABELS)["services"]["shop"]["labels"])
    assert hints_of(box, {}) == ({}, [])
    assert set(patterns_of(box, triggers)) == {"disk-full", "deadlock"}


def test_the_section_names_what_the_code_has() -> None:
    names = {PATH, cloudevent.TYPE, matches.NO_MATCH, matches.RATE_LIMITED, f"{MOST_CHARACTERS:,}"}
    members = cloudevent._data(container(), event("x"), "oom").keys()
    assert [name for name in {*names, *members} if name not in SECTION] == []
    assert matches.PAUSE_SECONDS == 1  # "one trigger a second"
