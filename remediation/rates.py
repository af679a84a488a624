"""Rates as people write them: ``20/10m`` is twenty in ten minutes."""

from __future__ import annotations

from compose_agent.config import kinds
from compose_agent.config.kinds import Kind, parse_duration
from remediation.policies.model import Rate

_UNITS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def parse_rate(text: str) -> Rate:
    """Return the rate that ``count/duration`` stands for; ValueError if it stands for none."""
    count, slash, span = text.partition("/")
    seconds = parse_duration(span.strip()) if slash else 0.0
    if not seconds:
        raise ValueError(text)
    return Rate(kinds.count.parse(count.strip()), seconds)


def rate_text(rate: Rate) -> str:
    """Return the rate as :func:`parse_rate` reads it, to the millisecond."""
    return f"{rate.count}/{_span(rate.seconds)}"


def _span(seconds: float) -> str:
    left, parts = round(seconds * 1000), []
    for unit, milliseconds in _UNITS:
        number, left = divmod(left, milliseconds)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts)


rate = Kind("rate", "a rate such as 20/10m: a number, and the time that it is for", parse_rate)
