from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import ConfigSource, Schema, Section, kinds, option, resolve
from compose_agent.config.document import example, render


@dataclass(frozen=True, slots=True)
class Settings:
    unset: str | None = option("deep.unset", kinds.string, None, "A text.")
    many: tuple[str, ...] = option("many", kinds.string, "a|b", "Texts.", multiple=True, restart=True)
    on: bool = option("on", kinds.boolean, "true", "A switch.")
    origin: str | None = option("origin", kinds.string, None, "Where from.", in_file=False)


SAMPLE = Schema([Section("part", Settings, "A part")])
TABLE = """\
## A part

| key | flag | environment | value | default | meaning |
|---|---|---|---|---|---|
| `part.deep.unset` | `--part.deep.unset` | `COMPOSE_AGENT_PART_DEEP_UNSET` | a text | unset | A text. |
| `part.many` | `--part.many` | `COMPOSE_AGENT_PART_MANY` | a text, several | `a\\|b` | Texts. *Next start.* |
| `part.on` | `--part.on`, `--no-part.on` | `COMPOSE_AGENT_PART_ON` | true or false | `true` | A switch. |
| not in the file | `--part.origin` | `COMPOSE_AGENT_PART_ORIGIN` | a text | unset | Where from. |
"""
EXAMPLE = """\
part:
  many:
    - "a|b"
  on: true
  # deep.unset:
"""


def test_a_section_is_a_table_of_its_options() -> None:
    assert TABLE in render(SAMPLE)


def test_the_example_says_the_defaults_and_comments_out_what_has_none() -> None:
    assert example(SAMPLE) == EXAMPLE
    assert f"```yaml\n{EXAMPLE}```\n" in render(SAMPLE)


def test_the_example_can_be_used_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    path.write_text(example(SCHEMA))
    assert ConfigSource(SCHEMA, {}, {}, path).load().settings == resolve(SCHEMA, []).settings


def test_the_example_names_every_option_of_the_file() -> None:
    text = example(SCHEMA)
    for key, bound in SCHEMA.options.items():
        name = key.rpartition(".")[2]
        assert (f"{name}:" in text) is bound.option.in_file or key == "config.file", key
