"""docs/transforms.md says what the registry says, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from compose_agent.config import Given, Option, resolve
from log_forwarder.transforms import make_pipeline, multiline, patterns
from log_forwarder.transforms.hints import LABEL_PREFIX
from log_forwarder.transforms.registry import options, registered
from log_forwarder.transforms.secrets import RULES
from tests.log_forwarder.making import container
from tests.log_forwarder.transforms.building import SCHEMA, Counted, settings

PAGE = (Path(__file__).parents[3] / "docs" / "transforms.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def row(option: Option) -> str:
    several = ", several" if option.multiple else ""
    default = f"`{option.default}`" if option.default else "unset"
    return f"| `{option.key}` | {option.kind.expected}{several} | {default} | {option.help} |"


def test_the_table_of_keys_is_complete_and_in_order() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count(" | ") == 3]
    assert rows == [row(option) for option in options()]


def test_the_page_names_every_rule_stage_and_bound() -> None:
    for name in RULES:
        assert f"| `{name}` |" in PAGE
    order = PAGE.partition("in this order: ")[2].partition(".")[0]
    assert re.findall(r"`([a-z-]+)`", order) == [kind.name for kind in registered()]
    for number in (patterns.MOST_CHARACTERS, multiline.MOST_LINES):
        assert f"{number:,}" in PAGE


@pytest.mark.parametrize("text", [text for text in EXAMPLES if "services:" in text])
def test_labels_of_the_examples_can_be_used(text: str) -> None:
    for service in yaml.safe_load(text)["services"].values():
        # Compose reads $$ as $.
        labels = {name: str(value).replace("$$", "$") for name, value in service["labels"].items()}
        assert all(name.startswith(LABEL_PREFIX) for name in labels)
        found, problems = make_pipeline(settings(), container(labels=labels), Counted().counters())
        assert problems == []
        assert not found.empty


@pytest.mark.parametrize("text", [text for text in EXAMPLES if text.startswith("logs:")])
def test_configuration_of_the_examples_can_be_used(text: str) -> None:
    values = yaml.safe_load(text)["logs"]
    resolve(SCHEMA, [{f"logs.{key}": Given(value, "docs") for key, value in values.items()}])
