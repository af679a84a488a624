from __future__ import annotations

import json
from typing import Any

import pytest

from broker.redaction import Unreadable, redacted

ENV = ["TOKEN=secret", "PATH=/bin:/usr/bin", "LC_ALL=C", "EMPTY=", "BARE", "A=b=secret"]
HIDDEN = ["TOKEN=<redacted>", "PATH=/bin:/usr/bin", "LC_ALL=C", "EMPTY=<redacted>", "BARE", "A=<redacted>"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda env: {"Id": "x", "Config": {"Env": env, "Labels": {"Env": "kept"}}},
        lambda env: [{"Spec": {"TaskTemplate": {"ContainerSpec": {"Env": env}}}}],
        lambda env: [{"PreviousSpec": {"TaskTemplate": {"PluginSpec": {"Env": env}}}}],
        lambda env: {"Deep": [[{"Env": env}]]},
    ],
)
def test_values_are_hidden_wherever_the_key_stands(shape: Any) -> None:
    body = redacted(json.dumps(shape(ENV)).encode(), ["PATH", "LC_*"])
    assert json.loads(body) == shape(HIDDEN)


def test_nothing_else_changes() -> None:
    value = {"Created": "2026", "Size": 2**63, "Cpu": 0.1, "None": None, "Text": "ä<&>\u2028", "Env": None}
    assert json.loads(redacted(json.dumps(value).encode(), [])) == value


def test_what_is_no_text_is_hidden_whole() -> None:
    body = b'{"Env": [1, {"TOKEN": "secret"}, ["secret"], null]}'
    assert json.loads(redacted(body, ["*"])) == {"Env": ["<redacted>"] * 4}


@pytest.mark.parametrize("glob", ["path", "PAT", "ATH"])
def test_globs_are_of_whole_names_and_mind_case(glob: str) -> None:
    assert b"secret" not in redacted(b'{"Env": ["PATH=secret"]}', [glob])


@pytest.mark.parametrize("body", [b"", b"{", b"secret", b"[" * 100_000, b'{"Env": ["\xff"]}', b"{} {}"])
def test_what_cannot_be_read_is_not_shown(body: bytes) -> None:
    with pytest.raises(Unreadable):
        redacted(body, [])
