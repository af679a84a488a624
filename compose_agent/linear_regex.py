r"""Regular expressions that take a time proportional to the text, whatever the expression and the text.

Python's own matcher tries one way after the other, and for many a harmless-looking expression somebody can
write a text on which it does not end: not for texts that come from outside. Here all ways are followed at
once, as RE2 does it, which Prometheus and Alertmanager use: an automaton whose states are made when they are
first met. Nothing is captured; the answer is yes or no.

What is understood is what Python and RE2 have in common, with the meaning of RE2: classes such as ``\d`` are
those of ASCII, and ``$`` is the end of the text.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from compose_agent.config.kinds import Detail
from compose_agent.patterns import compile_pattern

# Repeats are written out: a{30}{30} has 900. The time for a character grows with it.
MOST_STATES = 2000
# Of the automaton, made by texts; beyond that they are made anew.
_MOST_KEPT = 500

# Private, but the same in every version that this runs on, and the only parser of Python's own syntax.
_parser: Any = importlib.import_module("re._parser")

Test = Callable[[str], bool]

_STARTS = ("AT_BEGINNING", "AT_BEGINNING_STRING")
_ENDS = ("AT_END", "AT_END_STRING")
_CATEGORIES = {
    f"CATEGORY_{name}": re.compile(escape, re.ASCII)
    for name, escape in (
        ("DIGIT", r"\d"),
        ("NOT_DIGIT", r"\D"),
        ("SPACE", r"\s"),
        ("NOT_SPACE", r"\S"),
        ("WORD", r"\w"),
        ("NOT_WORD", r"\W"),
    )
}
_NOT_IN_RE2 = {
    "GROUPREF": "a reference to a group",
    "GROUPREF_EXISTS": "a conditional group",
    "ASSERT": "a look-around",
    "ASSERT_NOT": "a look-around",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repeat",
    "AT": "a word boundary",
}


@dataclass(slots=True)
class _Node:
    """One place in the expression: a character that passes ``test``, or a free way to all of ``after``.

    Free ways may lead on at the start or the end of the text only.
    """

    after: tuple[int, ...] = ()
    test: Test | None = None
    only_at: str = ""


@dataclass(slots=True)
class _State:
    """The places at which a match may stand after some text, and where each character leads."""

    places: frozenset[int]
    accepts: bool
    steps: dict[str, _State] = field(default_factory=dict)


class LinearRegex:
    """An expression compiled once; ValueError says what is wrong with it. Thread-safe."""

    def __init__(self, text: str) -> None:
        if text:  # nothing at all is an expression too: it matches the empty text
            compile_pattern(text)  # says best what is wrong
        self.text = text
        try:
            self._nodes, first = _Builder(text).program()
        except RecursionError as error:
            raise Detail(f"'{text}' is nested too deeply") from error
        self._states: dict[frozenset[int], _State] = {}
        places = self._closure([first], "start")
        self._start = _State(places, _ACCEPT in self._closure(places, "start", "end"))

    def fullmatch(self, text: str) -> bool:
        """Tell whether the whole text matches."""
        state = self._start
        for character in text:
            found = state.steps.get(character)
            state = self._step(state, character) if found is None else found
            if not state.places:
                return False
        return state.accepts

    def _step(self, state: _State, character: str) -> _State:
        nodes = (self._nodes[place] for place in state.places)
        after = [node.after[0] for node in nodes if node.test and node.test(character)]
        found = self._state(self._closure(after))
        if len(state.steps) >= _MOST_KEPT:
            state.steps.clear()
        state.steps[character] = found
        return found

    def _state(self, places: frozenset[int]) -> _State:
        known = self._states.get(places)
        if known is None:
            if len(self._states) >= _MOST_KEPT:
                # They hold one another.
                self._states.clear()
                self._start.steps.clear()
            known = self._states[places] = _State(places, _ACCEPT in self._closure(places, "end"))
        return known

    def _closure(self, places: Iterable[int], *at: str) -> frozenset[int]:
        """Return the places that free ways lead to, when the text is ``at`` its start, or end."""
        found: set[int] = set()
        waiting = list(places)
        while waiting:
            place = waiting.pop()
            if place in found:
                continue
            found.add(place)
            node = self._nodes[place]
            if node.test is None and (not node.only_at or node.only_at in at):
                waiting += node.after
        return frozenset(found)


@lru_cache(maxsize=_MOST_KEPT)
def anchored(text: str) -> LinearRegex:
    """Return the expression, the same object for the same text; raises ValueError."""
    return LinearRegex(text)


# The place at which the whole expression is matched.
_ACCEPT = 0


class _Builder:
    """Makes the places of an expression, from its end to its beginning."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._nodes = [_Node()]

    def program(self) -> tuple[list[_Node], int]:
        parsed = _parser.parse(self._text)
        if parsed.state.flags & re.MULTILINE:
            raise self._unknown("the flag m")
        first = self._sequence(parsed, parsed.state.flags, _ACCEPT)
        return self._nodes, first

    def _sequence(self, items: Any, flags: int, after: int) -> int:
        for op, argument in reversed(list(items)):
            after = self._item(str(op), argument, flags, after)
        return after

    def _item(self, op: str, argument: Any, flags: int, after: int) -> int:
        match op:
            case "SUBPATTERN":
                _, added, removed, body = argument
                return self._sequence(body, (flags | added) & ~removed, after)
            case "BRANCH":
                ways = tuple(self._sequence(way, flags, after) for way in argument[1])
                return self._add(_Node(ways))
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, body = argument
                return self._repeat(least, most, lambda then: self._sequence(body, flags, then), after)
            case "AT" if str(argument) in (*_STARTS, *_ENDS) and not flags & re.MULTILINE:
                return self._add(_Node((after,), only_at="start" if str(argument) in _STARTS else "end"))
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self._add(_Node((after,), _test(op, argument, flags)))
        raise self._unknown(_NOT_IN_RE2.get(op, op.lower()))

    def _repeat(self, least: int, most: int, body: Callable[[int], int], after: int) -> int:
        """Return where a repeat begins; ``body`` adds what is repeated in front of a place."""
        place = after
        if most == _parser.MAXREPEAT:
            place = self._add(_Node())
            self._nodes[place].after = (body(place), after)
        else:
            for _ in range(most - least):
                place = self._add(_Node((body(place), after)))
        for _ in range(least):
            place = body(place)
        return place

    def _add(self, node: _Node) -> int:
        if len(self._nodes) >= MOST_STATES:
            raise Detail(f"'{self._text}' is too large with its repeats written out")
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _unknown(self, what: str) -> Detail:
        return Detail(f"'{self._text}' has {what}, which Prometheus and Alertmanager do not know")


def _test(op: str, argument: Any, flags: int) -> Test:
    if op == "ANY":
        return (lambda _: True) if flags & re.DOTALL else (lambda character: character != "\n")
    plain = _member(op, argument)
    if not flags & re.IGNORECASE:
        return plain
    if negated := op == "NOT_LITERAL" or (op == "IN" and _is_negated(argument)):
        plain = _member(*(("LITERAL", argument) if op == "NOT_LITERAL" else ("IN", argument[1:])))
    return lambda character: any(map(plain, _cases(character))) is not negated


def _member(op: str, argument: Any) -> Test:
    match op:
        case "LITERAL":
            return lambda character: ord(character) == argument
        case "NOT_LITERAL":
            return lambda character: ord(character) != argument
        case "RANGE":
            return lambda character: argument[0] <= ord(character) <= argument[1]
        case "CATEGORY":
            return lambda character: _CATEGORIES[str(argument)].match(character) is not None
    negated = _is_negated(argument)
    members = [_member(str(each), below) for each, below in argument[negated:]]
    return lambda character: any(member(character) for member in members) is not negated


def _is_negated(items: Any) -> bool:
    return str(items[0][0]) == "NEGATE"


def _cases(character: str) -> set[str]:
    """Return a character with its other case, where that is one character too."""
    return {each for each in (character, character.lower(), character.upper()) if len(each) == 1}
