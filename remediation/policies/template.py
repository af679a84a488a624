"""Texts with values of labels in them: ``${NAME}``, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from compose_agent.config.kinds import Detail, Kind

_PLACE = re.compile(r"\$(?:(\$)|\{([^{}]+)\}|)")


def render_json(template: str, labels: Mapping[str, str]) -> str:
    """Return the JSON document that a template of :data:`json_template` makes of these labels.

    A label's value stays within the text in which its name stands, whatever it is; one that is not there is
    empty.
    """
    return _filled(template, lambda name: json.dumps(labels.get(name, ""))[1:-1])


def render_text(template: str, labels: Mapping[str, str]) -> str:
    """Return the text that a template of :data:`text_template` makes, as it is."""
    return _filled(template, lambda name: labels.get(name, ""))


def _filled(template: str, value: Callable[[str], str]) -> str:
    def put(found: re.Match[str]) -> str:
        if found[2]:
            return value(found[2])
        if found[1]:
            return "$"
        raise Detail(f"'$' at character {found.start() + 1} is no ${{LABEL}}: write $$ for the sign itself")

    return _PLACE.sub(put, template)


def _json_template(text: str) -> str:
    try:
        # A letter is JSON within a text only.
        json.loads(_filled(text, lambda _: "x"))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Detail(f"expected JSON with ${{LABEL}} in its texts only: {error.msg} in {place}") from error
    return text


def _text_template(text: str) -> str:
    if not text:
        raise ValueError(text)
    _filled(text, lambda _: "x")
    return text


json_template = Kind("template", "JSON with ${LABEL} in its texts", _json_template)
text_template = Kind("template", "a text with ${LABEL}", _text_template)
