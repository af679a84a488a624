"""How much may be in one span, and in which forms."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.util.types import AnyValue

_PLAIN = (bool, int, float, bytes)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be in one span; what comes beyond is left out and counted. See SpanLimits of the SDK."""

    attributes: int
    events: int
    links: int
    characters: int

    @classmethod
    def of(cls, limits: SpanLimits) -> Bounds:
        """Return what the SDK and its environment variables allow."""
        found = (limits.max_span_attributes, limits.max_events, limits.max_links)
        attributes, events, links, characters = (
            sys.maxsize if most is None else most for most in (*found, limits.max_span_attribute_length)
        )
        return cls(attributes, events, links, characters)


def put(into: dict[str, Any], attributes: Mapping[str, AnyValue], bounds: Bounds) -> int:
    """Put attributes where others are, and return how many there was no room for."""
    left_out = 0
    for key, value in attributes.items():
        if len(into) >= bounds.attributes and key not in into:
            left_out += 1
        elif type(value) is str and len(value) <= bounds.characters:  # as nearly all are
            into[key] = value
        else:
            into[key] = _cleaned(value, bounds.characters)
    return left_out


def _cleaned(value: AnyValue, characters: int) -> Any:
    """Return a value in one of the forms that attributes have."""
    if isinstance(value, str):
        return str(value)[:characters]
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Sequence):
        return [_cleaned(each, characters) for each in value]
    return str(value)[:characters]
