"""The configuration in force, as it may be shown to others: without secrets. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

REDACTED = "***"
# Keys whose values are secrets; a path of a file that holds one is none.
_SECRET = re.compile(
    r"pass(word|phrase|wd)?|token|secret|credential|api[-_]?key|(^|[-_.])(key|auth|authorization)$",
    re.IGNORECASE,
)
_PATH_KEY = re.compile(r"[-_.](file|path|dir)$", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")
_PARAMETER = re.compile(
    r"(?<=[?&;])([^=&;\s]*(?:pass|token|secret|key|auth)[^=&;\s]*)=[^&;\s]*", re.IGNORECASE
)
_HEADER = re.compile(r"\b(bearer|basic)\s+\S+", re.IGNORECASE)


def effective(given: Mapping[str, object]) -> str:
    """Return what was given for each option, as YAML, with secrets replaced."""
    shown = {key: redacted(key, value) for key, value in sorted(given.items())}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True) if shown else ""


def redacted(key: str, value: Any) -> Any:
    """Return a value without what is secret in it; ``key`` is its name."""
    if isinstance(value, Mapping):
        return {str(name): redacted(str(name), each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(key, each) for each in value]
    if _SECRET.search(key) and not _PATH_KEY.search(key):
        return REDACTED
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    value = _USERINFO.sub(f"{REDACTED}@", value)
    value = _PARAMETER.sub(rf"\1={REDACTED}", value)
    return _HEADER.sub(rf"\1 {REDACTED}", value)
