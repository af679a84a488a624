"""Read the fields of a line; the line itself stays as it was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from compose_agent.config import Option, kinds
from log_forwarder.event import Event
from log_forwarder.transforms import access, jsonline, logfmt
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Unusable, Values
from log_forwarder.transforms.patterns import MOST_CHARACTERS, Pattern, regex

# Takes a line; returns its fields, None if it is not of the format.
Parser = Callable[[str], dict[str, Any] | None]

PARSERS: Mapping[str, Parser] = {
    "json": jsonline.parse,
    "logfmt": logfmt.parse,
    "common": access.parse_common,
    "combined": access.parse_combined,
    "cri": access.parse_cri,
}
_BY_REGEX = "regex"


class Parse:
    """Adds a line's fields to its event; a line of another format is counted, and shipped as it is."""

    def __init__(self, parser: Parser, counters: Counters) -> None:
        self._parser = parser
        self._failed = counters.failed

    def __call__(self, events: list[Event]) -> list[Event]:
        """Give events their fields."""
        parser = self._parser
        failed = 0
        for event in events:
            fields = parser(event.log)
            if fields is None:
                failed += 1
            elif event.fields:
                event.fields.update(fields)
            else:
                event.fields = fields
        if failed:
            self._failed(failed, TRANSFORM.name)
        return events


def by_regex(pattern: Pattern) -> Parser:
    """Return the parser that takes the named groups of a pattern, in the first MOST_CHARACTERS of a line."""

    def parse(line: str) -> dict[str, Any] | None:
        match = pattern.search(line, 0, MOST_CHARACTERS)
        if match is None:
            return None
        return {name: text for name, text in match.groupdict().items() if text is not None}

    return parse


def _make(values: Values, counters: Counters) -> Transform | None:
    name, pattern = values["parser"], values["parser-regex"]
    if name in PARSERS:
        return Parse(PARSERS[name], counters)
    if pattern is not None:
        if not pattern.groupindex:
            raise Unusable("parser-regex has no named group such as (?P<user>\\w+)")
        return Parse(by_regex(pattern), counters)
    if name == _BY_REGEX:
        raise Unusable("parser is regex, but there is no parser-regex")
    return None


TRANSFORM = TransformKind(
    name="parse",
    help="Read the fields of lines.",
    stage=Stage.PARSE,
    keys=(
        Option("parser", kinds.choice(*PARSERS, _BY_REGEX), None, "Read fields from lines of this format."),
        Option(
            "parser-regex",
            regex,
            None,
            "Where no other parser is chosen: each named group becomes a field of the line.",
        ),
    ),
    make=_make,
)
