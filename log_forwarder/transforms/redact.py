"""Take secrets out of lines before anything else looks at them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from compose_agent.config import Option, kinds
from log_forwarder.event import Event
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values
from log_forwarder.transforms.patterns import MOST_CHARACTERS, Pattern, regex_lines
from log_forwarder.transforms.secrets import RULES, Rule, mark, substituted

OWN_RULE = "pattern"


class Redact:
    """Replaces what the rules find by ``[REDACTED:rule]``, and counts it."""

    def __init__(self, rules: Sequence[tuple[str, Rule]], counters: Counters) -> None:
        self._rules = tuple(rules)
        self._redacted = counters.redacted

    def __call__(self, events: list[Event]) -> list[Event]:
        """Change the text of events in place."""
        found: Counter[str] = Counter()
        for event in events:
            line = event.log
            for name, rule in self._rules:
                line, count = rule(line)
                if count:
                    found[name] += count
                    event.log = line
        for name, count in found.items():
            self._redacted(count, name)
        return events


def own_rule(patterns: Sequence[Pattern]) -> Rule:
    """Return the rule of patterns that a user wrote.

    They see a long line in parts of at most MOST_CHARACTERS, cut at white space where there is some.
    """

    def rule(line: str) -> tuple[str, int]:
        if len(line) <= MOST_CHARACTERS:
            return _replaced(patterns, line)
        parts = [_replaced(patterns, part) for part in _parts(line)]
        return "".join(text for text, _ in parts), sum(count for _, count in parts)

    return rule


def _replaced(patterns: Sequence[Pattern], text: str) -> tuple[str, int]:
    count = 0
    for pattern in patterns:
        text, found = substituted(pattern, _marked, text)
        count += found
    return text, count


def _marked(match: re.Match[str]) -> str | None:
    return mark(OWN_RULE) if match[0] else None


def _parts(line: str) -> list[str]:
    parts: list[str] = []
    start = 0
    while start < len(line):
        end = start + MOST_CHARACTERS
        if end < len(line):
            end = line.rfind(" ", start + 1, end) + 1 or end
        parts.append(line[start:end])
        start = end
    return parts


def _make(values: Values, counters: Counters) -> Transform | None:
    rules = [(name, rule) for name, rule in RULES.items() if name in values["redact"]]
    if patterns := values["redact-pattern"]:
        rules.append((OWN_RULE, own_rule(patterns)))
    return Redact(rules, counters) if rules else None


TRANSFORM = TransformKind(
    name="redact",
    help="Take secrets out of lines.",
    stage=Stage.REDACT,
    keys=(
        Option(
            "redact",
            kinds.choice(*RULES),
            None,
            "Replace what these rules find by `[REDACTED:rule]`.",
            multiple=True,
        ),
        Option(
            "redact-pattern",
            regex_lines,
            None,
            "Replace what is found by `[REDACTED:pattern]`.",
        ),
    ),
    make=_make,
    protects=True,
)
