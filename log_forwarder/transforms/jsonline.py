"""Lines that are JSON objects, within bounds that hostile ones cannot leave."""

from __future__ import annotations

from typing import Any

import msgspec

from compose_agent.typed import json_decoder

# Decoded, a line takes up to fifty times its size.
MOST_CHARACTERS = 256 * 1024
# Elasticsearch takes objects 20 deep, and 1,000 fields in a whole index.
MOST_LEVELS = 20
MOST_KEYS = 512

_decode = json_decoder(dict[str, Any]).decode


def parse(line: str) -> dict[str, Any] | None:
    """Return the members of an object; None for other values, broken JSON, and what is beyond the bounds."""
    if len(line) > MOST_CHARACTERS:
        return None
    try:
        found = _decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    found.pop("", None)  # no server takes a field without a name
    if line.count("{") + line.count("[") > MOST_LEVELS or line.count(":") > MOST_KEYS:
        return found if _is_bounded(found) else None
    return found


def _is_bounded(found: dict[str, Any]) -> bool:
    """Tell whether an object is neither deeper nor richer than allowed, level by level."""
    level: list[Any] = [found]
    keys = 0
    for _ in range(MOST_LEVELS):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                keys += len(value)
                below += value.values()
            elif isinstance(value, list):
                below += value
        level = [value for value in below if isinstance(value, (dict, list))]
        if not level or keys > MOST_KEYS:
            break
    return not level and keys <= MOST_KEYS
