r"""Alertmanager's matchers: ``=``, ``!=``, ``=~``, ``!~``, with regular expressions anchored at both ends.

The syntax is that of Alertmanager 0.27 and later: one matcher or several with commas between them, in braces
or not; names and values in double quotes with the escapes of Go, or bare where they have no space and none of
``{}!=~,\"'`` or backquote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from compose_agent.config.kinds import Detail, Kind
from compose_agent.linear_regex import LinearRegex, anchored

# What a regular expression looks at takes time, and labels come from outside. No name is nearly as long.
MOST_CHARACTERS = 4096
OPERATORS = ("=", "!=", "=~", "!~")

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\\n]|\\.)*")
        | (?P<operator>=~|!~|!=|=)
        | (?P<mark>[{},])
        | (?P<bare>[^\s{}!=~,\\"'`]+)
        | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of Go's strings in double quotes.
_ESCAPE = re.compile(rb'\\(?:([abfnrtv\\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u(.{4})|U(.{8})|)', re.DOTALL)
_LETTERS = dict(zip(b'abfnrtv\\"', b'\a\b\f\n\r\t\v\\"', strict=True))


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a label that is not there counts as empty.

    ValueError for a regular expression that cannot be taken.
    """

    label: str
    operator: str
    value: str
    _regex: LinearRegex | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.operator in {"=~", "!~"}:
            object.__setattr__(self, "_regex", anchored(self.value))

    def __str__(self) -> str:
        label = self.label if _PLAIN_NAME.fullmatch(self.label) else _quoted(self.label)
        return f"{label}{self.operator}{_quoted(self.value)}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it holds for these labels.

        An expression holds for no value of more than :data:`MOST_CHARACTERS`, nor does its contrary: nobody
        is to be chosen by a value that is too long to be judged.
        """
        found = labels.get(self.label, "")
        if self._regex is None:
            return (found == self.value) is (self.operator == "=")
        if len(found) > MOST_CHARACTERS:
            return False
        return self._regex.fullmatch(found) is (self.operator == "=~")


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Return the matchers in a text such as ``{alertname="Down", severity=~"crit.*|page"}``.

    ValueError says what was expected and where; also when there is none.
    """
    tokens = _Tokens(text)
    opened = tokens.takes("{")
    found: list[Matcher] = []
    while tokens.kind in {"bare", "quoted"}:
        found.append(_matcher(tokens))
        if not tokens.takes(","):
            break
    if opened and not tokens.takes("}"):
        raise tokens.wrong("',' or '}'" if found else "the name of a label")
    if tokens.kind != "end":
        raise tokens.wrong("',' and another matcher, or the end" if found else "the name of a label")
    if not found:
        raise ValueError(text)
    return tuple(found)


matchers = Kind("matchers", 'matchers such as alertname="Down", severity=~"crit.*|page"', parse_matchers)


def _matcher(tokens: _Tokens) -> Matcher:
    label = tokens.text()
    if tokens.kind != "operator":
        raise tokens.wrong(f"one of {' '.join(OPERATORS)}")
    operator = tokens.text()
    if tokens.kind not in {"bare", "quoted"}:
        raise tokens.wrong("a value, in double quotes")
    return Matcher(label, operator, tokens.text())


class _Tokens:
    """The words of a text one after the other; ``kind`` is that of the next one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.kind = ""
        self._next()

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._at)
        self.kind = (found.lastgroup or "") if found else "unknown"
        self._word = found[self.kind] if found else ""
        self._begin = found.start(self.kind) if found else self._at
        self._at = found.end() if found else self._at

    def takes(self, mark: str) -> bool:
        """Step over a mark, if it is the next word."""
        if self.kind != "mark" or self._word != mark:
            return False
        self._next()
        return True

    def text(self) -> str:
        """Return what the next word says, and step over it."""
        word = self._word
        if self.kind == "quoted":
            try:
                word = _unquoted(word)
            except ValueError:
                raise self.wrong("a text with the escapes of Go in UTF-8") from None
        self._next()
        return word

    def wrong(self, expected: str) -> Detail:
        """Return the refusal of the next word."""
        # In an unknown word spaces come first.
        begin = len(self._text) - len(self._text[self._begin :].lstrip())
        what = f"'{self._text}' is no list of matchers: expected {expected} at character {begin + 1}"
        return Detail(what)


def _unquoted(word: str) -> str:
    return _ESCAPE.sub(_meaning, word[1:-1].encode()).decode()


def _meaning(escape: re.Match[bytes]) -> bytes:
    letter, octal, byte, *points = escape.groups()
    if letter:
        return bytes([_LETTERS[letter[0]]])
    if octal or byte:
        return bytes([int(octal, 8) if octal else int(byte, 16)])  # above 255: ValueError
    digits = next((each for each in points if each), b"")
    if not re.fullmatch(rb"[0-9a-fA-F]+", digits):
        raise ValueError(escape[0])
    return chr(int(digits, 16)).encode()  # beyond Unicode, or half a character: ValueError


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # the escapes of JSON are among those of Go
