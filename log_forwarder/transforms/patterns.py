"""Regular expressions that are searched in lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from compose_agent.config.kinds import Detail, Kind
from compose_agent.patterns import Pattern, compile_pattern, regex

__all__ = [
    "MOST_CHARACTERS",
    "Pattern",
    "matches",
    "named",
    "named_regexes",
    "regex",
    "regex_lines",
]

# Matching time can grow with a power of the text's length, and nothing can interrupt it.
MOST_CHARACTERS = 8192
# Names become part of ids and of URLs.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def _compile_lines(text: str) -> tuple[Pattern, ...]:
    found = tuple(compile_pattern(line.strip()) for line in text.splitlines() if line.strip())
    if not found:
        raise ValueError(text)
    return found


regex_lines = Kind("regexes", "regular expressions, each on a line of its own", _compile_lines)


def named(name: str, text: object) -> Pattern:
    """Return the pattern that somebody gave a name; ValueError also for a name that cannot be one."""
    if not _NAME.fullmatch(name):
        raise Detail(
            f"'{name}' is no name: expected up to 63 letters, digits and . _ -, a letter or digit first"
        )
    return regex.read(text)


class _NamedRegexes(Kind[Mapping[str, Pattern]]):
    """A mapping in the file; elsewhere, and in one value of the file, lines of text."""

    def read(self, value: object) -> Mapping[str, Pattern]:
        return _named(value.items()) if isinstance(value, dict) else super().read(value)


def _named(pairs: Iterable[tuple[str, object]]) -> Mapping[str, Pattern]:
    found: dict[str, Pattern] = {}
    for name, text in pairs:
        try:
            found[name] = named(name, text)
        except ValueError as error:
            raise Detail(f"{name}: {error}") from error
    return found


def _named_lines(text: str) -> Mapping[str, Pattern]:
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    if not pairs or not all(separator for _, separator, _ in pairs):
        raise ValueError(text)
    return _named((name.strip(), pattern) for name, _, pattern in pairs)


named_regexes = _NamedRegexes(
    "regexes",
    "names with regular expressions, as a mapping or as NAME=REGEX on each line",
    _named_lines,
)


def matches(pattern: Pattern, text: str) -> bool:
    """Tell whether the pattern is found in the first :data:`MOST_CHARACTERS` of a text."""
    return pattern.search(text, 0, MOST_CHARACTERS) is not None
