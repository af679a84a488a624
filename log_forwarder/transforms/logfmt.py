"""Lines of ``key=value key="quoted value"`` (brandur.org/logfmt, go-logfmt)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from compose_agent.typed import json_decoder

# As for JSON: what is beyond is shipped without fields.
MOST_CHARACTERS = 256 * 1024
MOST_KEYS = 512

_PAIR = re.compile(r'(?<![^\s])([^\s="]++)=(?:"((?:[^"\\]|\\.)*+)"|([^\s"]*+))(?!\S)', re.DOTALL)
_unquote = json_decoder(str).decode


def parse(line: str) -> dict[str, Any] | None:
    """Return the pairs as texts; words without a value are left out. None for a line without any pair."""
    if "=" not in line or len(line) > MOST_CHARACTERS:
        return None
    pairs = _PAIR.findall(line)
    if not pairs or len(pairs) > MOST_KEYS:
        return None
    return {key: plain or (_plain(quoted) if "\\" in quoted else quoted) for key, quoted, plain in pairs}


def _plain(quoted: str) -> str:
    try:
        return _unquote(f'"{quoted}"')
    except (msgspec.MsgspecError, ValueError):
        return quoted
