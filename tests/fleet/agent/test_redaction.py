from __future__ import annotations

import pytest

from fleet.agent.redaction import effective, redacted


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("log.level", "info", "info"),
        ("agent.token-file", "/run/secrets/token", "/run/secrets/token"),
        ("sinks.password", "hunter2", "***"),
        ("x.api-key", "abc", "***"),
        ("x.auth", "abc", "***"),
        ("monkey", "abc", "abc"),
        ("x", ["a", "https://me:secret@host/p"], ["a", "https://***@host/p"]),
        ("x", "https://host/p?api_key=abc&index=logs", "https://host/p?api_key=***&index=logs"),
        (
            "x",
            {"url": "u", "secret": "s", "in": {"token": "t"}},
            {"url": "u", "secret": "***", "in": {"token": "***"}},
        ),
        ("headers", "Authorization: Bearer abcdef", "Authorization: Bearer ***"),
        ("x", True, True),
    ],
)
def test_secrets_are_replaced_and_nothing_else(key: str, value: object, shown: object) -> None:
    assert redacted(key, value) == shown


def test_the_configuration_is_yaml_by_key() -> None:
    assert effective({"b": "2", "a": ["x"]}) == "a:\n- x\nb: '2'\n"
    assert effective({}) == ""
