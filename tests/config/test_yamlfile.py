from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from compose_agent.config.yamlfile import MAX_FILE_BYTES, MAX_VALUES, Node, load, parse
from compose_agent.errors import ConfigError

WRONG = {
    "a: [1": "f.yml:1: is not valid YAML: expected ',' or ']', but got '<stream end>'",
    "a: 1\nb:\n\t- 2": "f.yml:3: is not valid YAML: found character '\\t' that cannot start any token",
    "a: 1\n b: 2": "f.yml:2: is not valid YAML: mapping values are not allowed here",
    "a: 1\n---\nb: 2": (
        "f.yml:2: is not valid YAML: expected a single document in the stream, but found another document"
    ),
    "a: *b": "f.yml:1: is not valid YAML: found undefined alias 'b'",
    "a: !!python/name:os.system x": (
        "f.yml:1: is not valid YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/name:os.system'"
    ),
    "a: 1\nb: 2026-99-99": "f.yml:2: is not valid YAML: month must be in 1..12",
    "a: 1\nb: x\x00y": "f.yml:2: is not valid YAML: the character 0x00 cannot stand in it",
    "a: 1\nb: 2\na: 3": "f.yml:3: 'a' stands here a second time",
    "g:\n  a: 1\n  a: 2": "f.yml:3: 'a' stands here a second time",
    "a: 1\n? [b, c]\n: 2": "f.yml:2: expected a text as key",
    "a: &x\n  b: *x": "f.yml:1: is an alias of what contains it",
    "a: &x [*x]": "f.yml:1: is an alias of what contains it",
    "a: &x\n  <<: *x": "f.yml:1: is an alias of what contains it",
    "a:\n  <<: 3": "f.yml:2: expected a mapping, or a list of mappings, behind '<<'",
    "a:\n  <<: [{b: 1}, 3]": "f.yml:2: expected a mapping, or a list of mappings, behind '<<'",
    "[" * 5000: "f.yml: is nested too deeply",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=range(len(WRONG)))
def test_what_is_wrong_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yml")
    assert str(caught.value) == message


@pytest.mark.parametrize("step", ["[*{0}, *{0}, *{0}, *{0}]", "{{ <<: [*{0}, *{0}], k{0}: *{0} }}"])
def test_aliases_that_multiply_are_refused_before_they_fill_the_memory(step: str) -> None:
    levels = [f"l{n}: &l{n} {step.format(f'l{n - 1}')}" for n in range(1, 40)]
    with pytest.raises(ConfigError, match=f"holds more than {MAX_VALUES} values"):
        parse("\n".join(["l0: &l0 {a: 1}", *levels]), "f.yml")


def test_every_value_knows_its_line_and_its_text() -> None:
    root = parse("a: yes\n\nb:\n  c: [1.10, ~]\n", "f.yml")
    assert root == Node(
        {
            "a": Node(True, 1, "yes"),
            "b": Node({"c": Node([Node(1.1, 4, "1.10"), Node(None, 4)], 4)}, 3),
        },
        1,
    )


def test_merge_keys_give_way_to_the_keys_beside_them_and_the_first_mapping_wins() -> None:
    root = parse("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 3", "f.yml")
    assert isinstance(root.value, dict)
    merged = root.value["z"].value
    assert isinstance(merged, dict)
    assert {key: (node.value, node.line) for key, node in merged.items()} == {
        "a": (3, 5),
        "b": (1, 1),
        "c": (2, 2),
    }


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_is_an_empty_mapping(text: str, tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_text(text)
    assert load(path).value == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: \xff", "{}:2: is not UTF-8 text (byte 8)"),
        ("a: 1".encode("utf-16"), "{}:1: is not UTF-8 text (byte 0)"),
        (b"#" * (MAX_FILE_BYTES + 1), f"{{}}: is larger than {MAX_FILE_BYTES} bytes"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == message.format(path)


def test_what_cannot_be_opened_is_named_with_the_reason(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    wrong = {tmp_path: errno.EISDIR, tmp_path / "none": errno.ENOENT, loop: errno.ELOOP}
    for path, reason in wrong.items():
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: cannot be read: {os.strerror(reason)}"


def test_an_endless_device_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="/dev/zero: is larger than"):
        load(Path("/dev/zero"))
