from __future__ import annotations

import pytest
import yaml

from compose_agent.errors import ConfigError
from fleet.manager.configs.compiled import Compiler, compile_versions
from fleet.manager.configs.merge import merged
from fleet.manager.configs.model import LayerKey, Version
from fleet.manager.configs.scope import parse_scope


def version(id: int, body: str | None, scope: str = "all", name: str = "agent.yml") -> Version:
    return Version(id, LayerKey(parse_scope(scope), name), 1, body, "", 0.0, "test")


def test_one_text_stays_as_it_was_written() -> None:
    text = "# why\nlog: {level: debug}   # here\n"
    assert compile_versions([version(1, text)]).files == {"agent.yml": (text, "text/yaml")}


def test_a_stronger_scope_wins_key_by_key_and_lists_are_replaced() -> None:
    layers = [
        version(1, "log: {level: debug, format: json}\nlist: [1, 2]\n", "node=web-1"),
        version(2, "log: {level: info, fluentd: 'a:1'}\nlist: [3]\nkept: yes\n"),
    ]
    (text, _kind) = compile_versions(layers).files["agent.yml"]
    assert yaml.safe_load(text) == {
        "log": {"level": "debug", "fluentd": "a:1", "format": "json"},
        "list": [1, 2],
        "kept": True,
    }


@pytest.mark.parametrize(
    ("below", "above", "whole"),
    [
        ("a: 1\n", "a: {b: 1}\n", {"a": {"b": 1}}),
        ("a: {b: 1}\n", "a: 1\n", {"a": 1}),
        ("[1]\n", "a: 1\n", {"a": 1}),
        ("a: 'on'\n", "b: 'null'\n", {"a": "on", "b": "null"}),
        ("a: 1\n", "a:\n", {"a": None}),
        ("a.b: 1\n", "a: {b: 2}\n", {"a.b": 1, "a": {"b": 2}}),  # dots mean something to ours only
    ],
)
def test_texts_are_laid_over_one_another(below: str, above: str, whole: object) -> None:
    assert yaml.safe_load(merged("agent.yml", [below, above])) == whole


def test_files_that_are_no_yaml_are_replaced_as_a_whole() -> None:
    layers = [version(1, "[a]\nb = 1\n", name="vector.toml"), version(2, "c = 2\n", "role=w", "vector.toml")]
    assert compile_versions(layers).files == {"vector.toml": ("c = 2\n", "")}


def test_a_layer_that_was_taken_away_gives_nothing() -> None:
    layers = [version(1, "a: 1\n"), version(2, None, "role=worker")]
    assert compile_versions(layers).hash == compile_versions(layers[:1]).hash
    nothing = compile_versions([version(2, None)])
    assert nothing.files == {}
    assert nothing.message.HasField("config")


def test_the_hash_follows_the_versions_and_not_their_order() -> None:
    one, other = version(1, "a: 1\n"), version(2, "b: 1\n", name="b.yml")
    assert compile_versions([one, other]).hash == compile_versions([other, one]).hash
    assert compile_versions([one]).hash != compile_versions([version(3, "a: 1\n")]).hash
    assert len(compile_versions([one]).message.config_hash) == 32


def test_the_same_versions_are_compiled_once() -> None:
    compiler, layers = Compiler(), [version(1, "a: 1\n")]
    assert compiler(layers) is compiler(list(layers))


def test_wrong_yaml_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"agent\.yml:2: is not valid YAML"):
        merged("agent.yml", ["a: 1\n", "a: 1\n b: 2\n"])
