"""Regular expressions that users write."""

from __future__ import annotations

import re
import warnings

from compose_agent.config.kinds import Detail, Kind

# Matching time can grow with a power of the text's length, and nothing can interrupt it.
MOST_CHARACTERS = 8192
# Far more than anybody writes by hand.
_LONGEST_PATTERN = 2000

Pattern = re.Pattern[str]


def _compile(text: str) -> Pattern:
    if not text:
        raise ValueError(text)
    if len(text) > _LONGEST_PATTERN:
        raise Detail(f"expected a regular expression of at most {_LONGEST_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(text)
    except re.error as error:
        place = "" if error.pos is None else f" at character {error.pos + 1}"
        raise Detail(f"'{text}' is no regular expression: {error.msg}{place}") from error
    except (OverflowError, RecursionError, Warning) as error:
        raise Detail(f"'{text}' is no regular expression: {error}") from error


def _compile_lines(text: str) -> tuple[Pattern, ...]:
    found = tuple(_compile(line.strip()) for line in text.splitlines() if line.strip())
    if not found:
        raise ValueError(text)
    return found


regex = Kind("regex", "a regular expression", _compile)
regex_lines = Kind("regexes", "regular expressions, each on a line of its own", _compile_lines)


def matches(pattern: Pattern, text: str) -> bool:
    """Tell whether the pattern is found in the first :data:`MOST_CHARACTERS` of a text."""
    return pattern.search(text, 0, MOST_CHARACTERS) is not None
