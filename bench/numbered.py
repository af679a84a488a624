"""Numbered lines: what the writer writes and the verification expects, from container and number alone."""

from __future__ import annotations

import re

# With number, trace id and the rest of the record about 230 bytes.
_FILL = "INFO request handled path=/api/v1/items/42 status=200 duration_ms=17 user=u4711 region=eu trace_id="
# Knuth's multiplicative hash: trace ids that do not compress better than real ones.
_SCATTER, _BITS_64 = 0x9E3779B97F4A7C15, 2**64 - 1
_SPECIAL = "quoted \"text\" <a&b> back\\slash tab\there 'Grüße, 世界 🐳'"
_FORM = re.compile(r"([0-9a-f]{12}):(\d+) ")
STDERR_EVERY = 5
_SPECIAL_EVERY = 10
# Long lines come in pairs, one on each stream, so that their pieces can be interleaved.
_LONG_LENGTHS = (16_384, 40_000, 32_767, 65_536, 100_003)


def stream_of(number: int) -> str:
    """Return the stream of a line: every fifth goes to stderr."""
    return "stderr" if number % STDERR_EVERY == STDERR_EVERY - 1 else "stdout"


def text_of(container: str, number: int, long_every: int = 0) -> str:
    """Return line ``number`` of a container (its 12 digits), without newline.

    With ``long_every``, a multiple of ten, two neighbours in so many lines, one on each stream, have tens of
    kilobytes.
    """
    if is_long(number, long_every):
        return _long(container, number)
    # Shifted, so that both streams have special lines.
    special = (number + number // _SPECIAL_EVERY) % _SPECIAL_EVERY == 3
    trace = number * _SCATTER & _BITS_64
    return f"{container}:{number} {_SPECIAL if special else _FILL}{trace:016x}"


def is_long(number: int, long_every: int) -> bool:
    """Tell whether a line is one of the long ones."""
    return bool(long_every) and number % long_every in (STDERR_EVERY - 1, STDERR_EVERY)


def parse(text: str) -> tuple[str, int] | None:
    """Return container and number of a line, None for a text that is none of ours."""
    found = _FORM.match(text)
    return (found[1], int(found[2])) if found else None


def _long(container: str, number: int) -> str:
    begin = f"{container}:{number} "
    length = _LONG_LENGTHS[number % len(_LONG_LENGTHS)]
    unit = f"{number:08d}-"
    return begin + (unit * (length // len(unit) + 1))[: length - len(begin)]
