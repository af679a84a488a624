from __future__ import annotations

import pytest

from compose_agent.config.nearest import did_you_mean, nearest

NAMES = ["log.level", "log.format", "TLS12", "X-Frame-Options"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("log.levle", "log.level"),
        ("LOG.LEVEL", "log.level"),
        ("tls12", "TLS12"),
        ("x-frame-option", "X-Frame-Options"),
        ("nothing-like-it", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case(name: str, found: str | None) -> None:
    assert nearest(name, NAMES) == found


def test_without_names_there_is_none() -> None:
    assert nearest("a", []) is None


def test_the_suggestion_stands_behind_a_refusal_or_not_at_all() -> None:
    assert did_you_mean("log.level") == ", did you mean 'log.level'?"
    assert did_you_mean(None) == ""
