"""docs/policies.md and docs/policies-reference.md say what is read, and their examples are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from compose_agent.labels import PREFIX
from compose_agent.matchers import MOST_CHARACTERS
from remediation.actions import ACTIONS
from remediation.document import reference_page
from remediation.labels import labels_of
from remediation.policies.load import load_policies
from remediation.targets import DEFAULT_LABELS
from tests.docs.examples import ROOT, examples, yaml_examples

PAGE = "docs/policies.md"
REFERENCE = ROOT / "docs" / "policies-reference.md"


def test_the_reference_is_what_the_definitions_say() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference_page(), "run scripts/regenerate"


def test_every_example_is_one_of_policies_or_of_a_compose_file() -> None:
    assert sorted(yaml_examples(PAGE, "policies") + yaml_examples(PAGE, "services")) == sorted(
        examples(PAGE, "yaml")
    )


@pytest.mark.parametrize("text", yaml_examples(PAGE, "policies"))
def test_policies_of_the_examples_are_taken(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policies.yml"
    file.write_text(text, encoding="utf-8")
    assert load_policies(file).policies


@pytest.mark.parametrize("page", [PAGE, "docs/remediation.md"])
def test_labels_of_the_examples_can_be_read(page: str) -> None:
    for text in yaml_examples(page, "services"):
        for service in yaml.safe_load(text)["services"].values():
            labels = {name: str(value) for name, value in service["labels"].items()}
            values, problems = labels_of(labels)
            assert problems == {}
            assert set(values) == {name.removeprefix(PREFIX) for name in labels}


def test_the_page_names_the_bounds_and_the_labels_that_name_targets() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert f"{MOST_CHARACTERS:,} characters" in page
    reference = reference_page()
    for labels in DEFAULT_LABELS.values():
        assert all(f"`{label}`" in reference for label in labels.values())


def test_every_action_has_a_row() -> None:
    for name in ACTIONS:
        assert f"| [`{name}`](#{name}) |" in reference_page() or f"| `{name}` |" in reference_page()
