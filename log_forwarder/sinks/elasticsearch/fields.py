"""What transforms found in a line, as members of its document that cannot overwrite the document's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

# Top names of our documents, and the place of fields that would collide with them.
OWN_NAMES = frozenset(
    (
        "@timestamp",
        "message",
        "log",
        "container",
        "service",
        "host",
        "event",
        "data_stream",
        "compose",
        "tags",
        "trace",
        "span",
        "fields",
    )
)
# Servers take objects 20 deep by default; what lies deeper is left out, and nothing recurses for ever.
_DEEPEST = 20

_encode = msgspec.json.Encoder().encode


def document_fields(fields: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the member of ``log`` and the members of the document, each behind a comma, or empty.

    ``level``, ``trace_id`` and ``span_id`` become ``log.level``, ``trace.id`` and ``span.id``.
    """
    members: dict[str, Any] = {}
    conflicts: dict[str, Any] = {}
    level = b""
    for key, value in fields.items():
        if key == "level" and isinstance(value, (str, int)):
            level = b',"level":' + to_json(str(value))
        elif key in ("trace_id", "span_id") and isinstance(value, str):
            members[key.removesuffix("_id")] = {"id": value}
        elif _is_free(key):
            members[key] = value
        else:
            conflicts[key] = value
    if conflicts:
        members["fields"] = conflicts
    return level, b"," + to_json(members)[1:-1] if members else b""


def to_json(value: Any) -> bytes:
    """Return JSON of whatever a parser may have made; what JSON or UTF-8 cannot say becomes text or null."""
    try:
        return _encode(value)
    except (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError):
        return _encode(_plain(value, _DEEPEST))


def _is_free(key: str) -> bool:
    """Tell whether a name is nobody's: a dotted one is a path, and ``_id`` and the like are the server's."""
    return key.partition(".")[0] not in OWN_NAMES and not key.startswith("_")


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (int, float)):
        return value
    if depth and isinstance(value, Mapping):
        return {_text(key): _plain(each, depth - 1) for key, each in value.items()}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each, depth - 1) for each in value]
    return None if depth == 0 and not isinstance(value, str) else _text(value)


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()
