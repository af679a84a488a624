"""The nearest valid name, for whoever mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# A suggestion that is off is worse than none.
_SIMILARITY = 0.6


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of ``names`` that is most like ``name``, whatever its case, if any is."""
    by_lower = {each.lower(): each for each in names}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=_SIMILARITY)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str | None) -> str:
    """Return the suggestion to put behind a refusal, or nothing."""
    return f", did you mean '{name}'?" if name else ""
