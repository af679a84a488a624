"""The kinds of values that options take, each parsed from one text form.

Environment, command line and file all arrive here as text, so a value means the same wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Generic, TypeVar

from compose_agent.address import Address
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.errors import ConfigError

T = TypeVar("T")

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)", re.ASCII | re.IGNORECASE)
# k, m, g and t alone or with iB are powers of 1024, with B they are powers of 1000.
_SIZE_UNITS = {"": 1, "b": 1} | {
    f"{letter}{form}": (1000 if form == "b" else 1024) ** power
    for power, letter in enumerate("kmgt", start=1)
    for form in ("", "b", "i", "ib")
}
# What files and databases count in 64 bits with a sign.
LARGEST_SIZE_BYTES = 2**63 - 1
# Of processes, files and the like; whoever means more means something else.
LARGEST_COUNT = 1_000_000
# A text of more digits is no number that anybody means, and Python would refuse to read thousands of them.
_MOST_DIGITS = 20
# Ten years: beyond any use, and far below what the clocks of the operating system take.
LONGEST_DURATION_SECONDS = 3650 * 86400.0
# What needs no escaping in a URL, and means nothing to the router.
_URL_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+", re.ASCII)
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How one kind of value is read.

    ``expected`` completes the sentence "expected …"; ``parse`` takes text and raises ValueError, or
    :class:`Detail` when it can say more than what was expected.
    """

    name: str
    expected: str
    parse: Callable[[str], T]

    def read(self, value: object) -> T:
        """Return what ``value`` stands for; ValueError says what was expected, also for what is no text."""
        if not isinstance(value, str):
            raise ValueError(f"expected {self.expected}, not {_described(value)}")  # noqa: TRY004 - one error for all
        text = value.strip()
        try:
            return self.parse(text)
        except Detail:
            raise
        except (ValueError, KeyError) as error:
            raise ValueError(f"expected {self.expected}, not '{text}'") from error


class Detail(ValueError):
    """A parser's own sentence, in place of the one made from what was expected."""


def _described(value: object) -> str:
    names = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return names.get(type(value), f"the {type(value).__name__} {value!r}")


def parse_duration(text: str) -> float:
    """Return seconds for a Prometheus duration (``1h30m``, ``15s``, ``500ms``)."""
    if text == "0":
        return 0.0
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(text)
    seconds = float(sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts))
    if seconds > LONGEST_DURATION_SECONDS:
        raise Detail(f"expected at most ten years, not '{text}'")
    return seconds


def parse_size(text: str) -> int:
    """Return bytes for a size such as ``64MiB``, ``10MB`` or ``4096``."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(text)
    size = int(Decimal(match[1]) * _SIZE_UNITS[match[2].lower()])
    if size > LARGEST_SIZE_BYTES:
        raise Detail(f"expected at most 8 EiB, not '{text}'")
    return size


def _positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if not seconds:
        raise ValueError(text)
    return seconds


def whole_number(least: int, most: int) -> Kind[int]:
    """Return a kind that takes whole numbers between two, these included."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
            raise ValueError(text)
        if not least <= (number := int(text)) <= most:
            raise ValueError(text)
        return number

    return Kind("number", f"a whole number from {least} to {most}", parse)


def choice(*words: str) -> Kind[str]:
    """Return a kind that takes exactly one of ``words``."""
    expected = "one of " + ", ".join(words)

    def parse(text: str) -> str:
        if text not in words:
            raise Detail(f"expected {expected}, not '{text}'{did_you_mean(nearest(text, words))}")
        return text

    return Kind("choice", expected, parse)


def _non_empty(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


# What a role serves beside its own: health and reload, data and documents for people.
_TAKEN_PATHS = ("/-/", "/v1/", "/static/")
_TAKEN_PATH = ("/docs", "/icon.svg")


def _url_path(text: str) -> str:
    if not _URL_PATH.fullmatch(text) or text.startswith(_TAKEN_PATHS) or text in _TAKEN_PATH:
        raise ValueError(text)
    return text


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ConfigError as error:
        raise Detail(error.problems[0].what) from error


def _absolute(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(text)
    try:
        return Path.cwd() / Path(text).expanduser()
    except RuntimeError as error:
        raise Detail(f"expected a path, not '{text}': there is no such home directory") from error


boolean = Kind("boolean", "true or false", _boolean)
duration = Kind("duration", "a duration such as 30s, 5m or 1h30m", parse_duration)
positive_duration = Kind("duration", "a duration above 0 such as 30s, 5m or 1h30m", _positive_duration)
string = Kind("string", "a text", _non_empty)
path = Kind("path", "a path", _absolute)
url_path = Kind("URL path", "a URL path such as /metrics", _url_path)
address = Kind("address", "host:port, :port or [IPv6]:port", _address)
count = whole_number(1, LARGEST_COUNT)
size = Kind("size", "a size such as 64MiB, 1GB or 4096", parse_size)
