"""The fields x-compose-agent of Compose files."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.config.composefile import ComposeFile, load_compose_file
from compose_agent.errors import ConfigError

WHOLE = """
name: shop
x-compose-agent:
  log.level: debug
x-defaults: &defaults
  x-compose-agent:
    remediate: [restart, scale]
services:
  web:
    <<: *defaults
    image: web
    ports: !override ["80:80"]
    command: !reset null
  db:
    image: db
    x-compose-agent:
      logs:
        parser: json
        redact: [tokens, email]
      scale.max: 5
      remediate: false
  cache: {image: cache}
  idle:
"""


def loaded(text: str, tmp_path: Path) -> ComposeFile:
    path = tmp_path / "Shop" / "compose.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_compose_file(path)


def test_services_have_labels_nested_dotted_listed_and_merged(tmp_path: Path) -> None:
    file = loaded(WHOLE, tmp_path)
    assert file.project == "shop"
    assert file.labels_of("web") == {"compose-agent.remediate": "restart,scale"}
    assert file.labels_of("db") == {
        "compose-agent.logs.parser": "json",
        "compose-agent.logs.redact": "tokens,email",
        "compose-agent.scale.max": "5",
        "compose-agent.remediate": "false",
    }
    assert file.labels_of("cache") == file.labels_of("idle") == file.labels_of("unknown") == {}


def test_every_label_knows_its_line(tmp_path: Path) -> None:
    given = loaded(WHOLE, tmp_path).services["db"]["compose-agent.scale.max"]
    assert given.where == f"{tmp_path}/Shop/compose.yml:20"


@pytest.mark.parametrize(
    ("text", "project"),
    [
        ("name: other", "other"),
        ("services: {}", "shop"),
        ("", "shop"),
        ("name: ${NAME:-other}", "shop"),
        ("name:", "shop"),
    ],
)
def test_a_project_is_named_by_the_file_or_its_folder(tmp_path: Path, text: str, project: str) -> None:
    assert loaded(text, tmp_path).project == project


@pytest.mark.parametrize(
    "text", ["services:\n", "services: {web: {x-compose-agent: }}", "x-compose-agent:\n"]
)
def test_nothing_said_is_nothing(tmp_path: Path, text: str) -> None:
    file = loaded(text, tmp_path)
    assert file.options is None
    assert file.services == {}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- a list", ":1: expected a Compose file"),
        ("services:\n  web:\n    x-compose-agent: yes\n", ":3: expected a mapping of labels"),
        ("services: {\n", ":2: is not valid YAML"),
        ("a: 1\na: 2\n", ":2: 'a' stands here a second time"),
    ],
)
def test_what_is_wrong_is_named_by_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(text, tmp_path)
    assert f"{tmp_path}/Shop/compose.yml{what}" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yml: cannot be read: No such file"):
        load_compose_file(tmp_path / "none.yml")
