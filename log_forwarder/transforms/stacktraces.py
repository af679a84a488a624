r"""How stack traces look, line by line, in five languages.

Each language is a small machine: a line that begins a trace puts it into a state, and each further line must
be one that the state allows. Blank lines and the like belong to a trace only if more of it follows; the
states that they lead to are *unsure*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from log_forwarder.transforms.patterns import Pattern

# What tells a line of a trace stands near its beginning; some patterns look at it once for each character.
_BEGINNING = 2048

Moves = tuple[tuple[Pattern, str], ...]
Beginnings = tuple[tuple[tuple[str, ...], Pattern, str], ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """The rules of one language.

    ``beginnings`` are the lines that begin a trace, each with texts of which it has at least one, because
    looking for these is cheap; none stand for a pattern that is cheap itself. ``moves`` has, by state, the
    lines that go on, and the states they lead to.
    """

    beginnings: Beginnings
    moves: Mapping[str, Moves]
    unsure: frozenset[str] = frozenset()

    def begin(self, text: str) -> str | None:
        """Return the state after a line that begins a trace, None for any other line."""
        for hints, pattern, to in self.beginnings:
            if (not hints or _has_one(text, hints)) and pattern.search(text, 0, _BEGINNING):
                return to
        return None

    def follow(self, state: str, text: str) -> str | None:
        """Return the state after one more line, None if it is not part of the trace."""
        for pattern, to in self.moves[state]:
            if pattern.search(text, 0, _BEGINNING):
                return to
        return None


def _has_one(text: str, hints: tuple[str, ...]) -> bool:
    for hint in hints:  # noqa: SIM110 - a generator costs more than the search
        if hint in text:
            return True
    return False


def _moves(*rules: tuple[str, str]) -> Moves:
    return tuple((re.compile(pattern), to) for pattern, to in rules)


def _beginnings(*rules: tuple[tuple[str, ...], str, str]) -> Beginnings:
    return tuple((hints, re.compile(pattern), to) for hints, pattern, to in rules)


_BLANK = r"^\s*$"

_TRACEBACK = ("Traceback (most recent call last):",)
# Of exception groups every line is indented, and no line of the exception itself ends the trace.
_PYTHON = Machine(
    beginnings=_beginnings(
        (_TRACEBACK, r"^\s*\+ Exception Group Traceback", "group"),
        (_TRACEBACK, r"Traceback \(most recent call last\):\s*$", "frames"),
    ),
    moves={
        "group": _moves((r"^\s+(?:\||\+-)", "group")),
        "frames": _moves((r"^\s+\S", "frames"), (r"^[A-Za-z_][\w.<>]*(?::\s|:?$)", "raised")),
        "raised": _moves((_BLANK, "gap")),
        "gap": _moves(
            (r"^(?:During handling of the above exception|The above exception was the direct cause)", "chain")
        ),
        "chain": _moves((_BLANK, "chain"), (r"^\s*\+ Exception Group", "group"), (r"^Traceback ", "frames")),
    },
    unsure=frozenset({"gap"}),
)

# .NET, whose frames begin alike, has lines of its own between them.
_JAVA_FRAMES = _moves(
    (r"^\s+(?:eval )?at \S", "frames"),
    (r"^\s*\.\.\. \d+ (?:more|common frames omitted)", "frames"),
    (r"^\s*(?:Caused by|Suppressed|Wrapped by): ", "frames"),
    (r"^\s+(?:- (?:locked|waiting|parking)|--- End of|---> |\[CIRCULAR REFERENCE)", "frames"),
)
_JAVA = Machine(
    beginnings=_beginnings(
        (("Exception", "Error", "Throwable"), r"(?:Exception|Error|Throwable)\b", "frames"),
        ((), r"^(?:[a-z][\w$]*+\.)++[A-Z][\w$]*+(?:: |$)", "frames"),
    ),
    moves={"frames": _JAVA_FRAMES},
)

_GOROUTINE = (r"^goroutine \d+ ", "stack")
# ``main.(*Server).handle(0xc0000b2000, {0x1, 0x2})`` and, below it, ``\t/src/main.go:12 +0x1d``.
_GO = Machine(
    beginnings=_beginnings(
        ((), r"^(?:panic|fatal error|runtime|SIG[A-Z]+): ", "panic"),
        (("http: panic serving ",), r"http: panic serving ", "panic"),
        ((), *_GOROUTINE),
    ),
    moves={
        "panic": _moves(
            (r"^\s*(?:panic|fatal error): |^\[signal |^\s*\[recovered|^runtime: |^PC=", "panic"),
            _GOROUTINE,
            (_BLANK, "gap"),
        ),
        "gap": _moves(_GOROUTINE, (_BLANK, "gap")),
        "stack": _moves(
            (r"^created by \S", "call"),
            (r"^(?:panic\(|[^\s()]+(?:\(\*[^\s()]+\)[^\s()]*)?\(.*\)$)", "call"),
            (r"^\.\.\..*frames elided", "stack"),
            _GOROUTINE,
            (_BLANK, "gap"),
            (r"^r\w+\s+0x[0-9a-f]+$", "stack"),
            (r"^exit status \d+$", "stack"),
        ),
        "call": _moves((r"^\t\S+:\d+", "stack")),
    },
    unsure=frozenset({"gap", "call"}),
)

_RUBY_FRAME = r"^\s*(?:\d+: )?(?:from )?[^\s:]+:\d+:in [`']"
_RUBY = Machine(
    beginnings=_beginnings(
        ((":in `", ":in '"), r":\d+:in [`'].*\([A-Z][\w:]*\)$", "raised"),
        ((), r"^(?:[A-Z]\w*+::)*+[A-Z]\w*+ \(.*\):?$", "raised"),
        (("Error", "Exception"), r"(?:Error|Exception)\b", "raised"),
    ),
    moves={
        "raised": _moves((_RUBY_FRAME, "frames"), (_BLANK, "gap")),
        # What ``error_highlight`` shows between the message and the frames is indented.
        "gap": _moves((_RUBY_FRAME, "frames"), (r"^\s", "gap"), (_BLANK, "gap")),
        "frames": _moves(
            (_RUBY_FRAME, "frames"), (r"^\s*\.\.\. \d+ levels\.\.\.", "frames"), (_BLANK, "gap")
        ),
    },
    unsure=frozenset({"gap"}),
)

_NODE_ERROR = r"(?:^|[\s\[])(?:[A-Za-z_$][\w$]*)?(?:Error|Exception)\b"
_NODE_PLACE = r"^(?:file://)?(?:/|[A-Za-z]:\\|node:)\S*:\d+$"
_NODE = Machine(
    beginnings=_beginnings(
        ((), _NODE_PLACE, "source"),
        (("Error", "Exception"), _NODE_ERROR, "raised"),
    ),
    moves={
        "source": _moves(
            (r"^(?:Uncaught )?[A-Za-z_$][\w$.]*(?: \[\w+\])?: ", "raised"), (r"^(?:\s|$)|\S", "source")
        ),
        "raised": _moves((r"^\s+at .*\{$", "props"), (r"^\s+at ", "frames")),
        "frames": _moves(
            (r"^\s+at .*\{$", "props"),
            (r"^\s+at |^\s+\.\.\. \d+ lines matching", "frames"),
            (_BLANK, "tail"),
        ),
        "props": _moves((r"^\s", "props"), (r"^\}", "frames")),
        "tail": _moves((r"^Node\.js v\d", "frames")),
    },
    unsure=frozenset({"source", "tail"}),
)

LANGUAGES: Mapping[str, Machine] = {
    "python": _PYTHON,
    "java": _JAVA,
    "go": _GO,
    "ruby": _RUBY,
    "node": _NODE,
}
