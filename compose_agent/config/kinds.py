"""The kinds of values that options take, each parsed from one text form.

Environment, command line and file all arrive here as text (a YAML number or boolean in its canonical
form), so a value means the same wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from compose_agent.errors import ConfigError
from compose_agent.web.address import Address

T = TypeVar("T")

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How one kind of value is read.

    ``expected`` completes the sentence "expected …"; ``parse`` takes text and raises ValueError;
    ``yaml_types`` are the types beside ``str`` that a file may use for it.
    """

    name: str
    expected: str
    parse: Callable[[str], T]
    yaml_types: tuple[type, ...] = ()

    def read(self, value: object) -> T:
        """Return what ``value`` (text or a YAML scalar) stands for; ValueError says what was expected."""
        if not isinstance(value, str) and type(value) not in self.yaml_types:
            raise ValueError(f"expected {self.expected}, not {_described(value)}")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            return self.parse(text.strip())
        except (ValueError, KeyError) as error:
            detail = f" ({error})" if isinstance(error, Detail) else ""
            raise ValueError(f"expected {self.expected}, not '{text}'{detail}") from error


class Detail(ValueError):
    """A parser's own reason, shown behind what was expected."""


def _described(value: object) -> str:
    names = {dict: "a mapping", list: "a list", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), f"the {type(value).__name__} {value!r}")


def parse_duration(text: str) -> float:
    """Return seconds for a Prometheus duration (``1h30m``, ``15s``, ``500ms``)."""
    if text == "0":
        return 0.0
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(text)
    return float(sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts))


def choice(*words: str) -> Kind[str]:
    """Return a kind that takes exactly one of ``words``."""
    return Kind("choice", "one of " + ", ".join(words), {word: word for word in words}.__getitem__)


def _non_empty(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _port_free_url_path(text: str) -> str:
    if not text.startswith("/") or any(c.isspace() for c in text):
        raise ValueError(text)
    return text


def _boolean(text: str) -> bool:
    return {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }[text.lower()]


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ConfigError as error:
        raise ValueError(text) from error


def _absolute(text: str) -> Path:
    path = Path(_non_empty(text)).expanduser()
    return path if path.is_absolute() else Path.cwd() / path


boolean = Kind("boolean", "true or false", _boolean, (bool,))
duration = Kind("duration", "a duration such as 30s, 5m or 1h30m", parse_duration)
string = Kind("string", "a text", _non_empty, (int, float))
path = Kind("path", "a path", _absolute)
url_path = Kind("URL path", "a URL path such as /metrics", _port_free_url_path)
address = Kind("address", "host:port, :port or [IPv6]:port", _address)
