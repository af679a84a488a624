"""Regular expressions that users write."""

from __future__ import annotations

import re
import warnings

from compose_agent.config.kinds import Detail, Kind

# Far more than anybody writes by hand.
_LONGEST_PATTERN = 2000

Pattern = re.Pattern[str]


def compile_pattern(text: str) -> Pattern:
    """Return the compiled expression; ValueError says what is wrong with it, and where."""
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


regex = Kind("regex", "a regular expression", compile_pattern)
