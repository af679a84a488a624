"""Environment values in the Engine's answers, made unreadable; their names stay."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from compose_agent.typed import any_from_json

REDACTED = "<redacted>"
# Of a container (Config.Env), of services and tasks (ContainerSpec.Env, PluginSpec.Env): always this key.
_KEY = "Env"


class Unreadable(Exception):
    """An answer that cannot be redacted, so it is not shown."""


def redacted(body: bytes, shown: Sequence[str]) -> bytes:
    """Return a JSON answer without environment values, but those of variables that a glob in ``shown`` names.

    Raises Unreadable.
    """
    try:
        return msgspec.json.encode(_walked(any_from_json(body), shown))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def _walked(value: Any, shown: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: [_variable(each, shown) for each in below]
            if key == _KEY and isinstance(below, list)
            else _walked(below, shown)
            for key, below in value.items()
        }
    if isinstance(value, list):
        return [_walked(each, shown) for each in value]
    return value


def _variable(entry: Any, shown: Sequence[str]) -> str:
    if not isinstance(entry, str):
        return REDACTED  # nothing that belongs there
    name, mark, _ = entry.partition("=")
    hidden = mark and not any(fnmatchcase(name, glob) for glob in shown)
    return f"{name}={REDACTED}" if hidden else entry
