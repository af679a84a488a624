from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.policies.template import json_template, render_json, render_text, text_template

TEMPLATE = '{"title": "${alertname} of ${föö bär}", "cost": "$$5", "n": 1}'


@given(st.text(), st.text())
def test_no_label_leaves_its_text(one: str, other: str) -> None:
    body = render_json(json_template.read(TEMPLATE), {"alertname": one, "föö bär": other})
    assert json.loads(body) == {"title": f"{one} of {other}", "cost": "$5", "n": 1}


def test_a_label_that_is_not_there_is_empty() -> None:
    assert render_text("a ${b} c", {}) == "a  c"
    assert render_text("${a}${a}", {"a": "${b}", "b": "x"}) == "${b}${b}"


SIGN = "'$' at character {} is no ${{LABEL}}: write $$ for the sign itself"
JSON = "expected JSON with ${LABEL} in its texts only: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": ${b}}', JSON + "Expecting value in line 1, column 7"),
        ('{"a": "b"', JSON + "Expecting ',' delimiter in line 1, column 10"),
        ("${a}", JSON + "Expecting value in line 1, column 1"),
        ('{"a": "$b"}', SIGN.format(8)),
        ('{"a": "${}"}', SIGN.format(8)),
    ],
)
def test_what_could_break_out_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is no") as raised:
        json_template.read(text)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "message"), [("", "expected a text with ${LABEL}, not ''"), ("5$", SIGN.format(2))]
)
def test_a_text_has_labels_only(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is no") as raised:
        text_template.read(text)
    assert str(raised.value) == message
