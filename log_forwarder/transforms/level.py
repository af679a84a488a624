"""Find how serious a line is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from compose_agent.config import Option, kinds
from log_forwarder.event import Event
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values

LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")

_WORDS: Mapping[str, tuple[str, ...]] = {
    "trace": ("trace", "trc", "finest", "finer", "verbose", "silly"),
    "debug": ("debug", "dbg", "fine", "debug1", "debug2", "debug3", "debug4", "debug5"),
    "info": (
        "info",
        "inf",
        "information",
        "informational",
        "notice",
        "config",
        "log",
        "statement",
        "default",
    ),
    "warn": ("warn", "warning", "wrn"),
    "error": ("error", "err", "eror", "severe", "fail"),
    "fatal": ("fatal", "ftl", "critical", "crit", "crt", "emergency", "emerg", "alert", "panic", "dpanic"),
}
_LETTERS = {
    "T": "trace",
    "D": "debug",
    "I": "info",
    "N": "info",
    "W": "warn",
    "E": "error",
    "F": "fatal",
    "C": "fatal",
}
_LEVEL_OF = {word: level for level, words in _WORDS.items() for word in words} | {
    letter.lower(): level for letter, level in _LETTERS.items()
}
# Keys of level in the order in which they are believed.
_KEYS = (
    "level",
    "severity",
    "lvl",
    "loglevel",
    "log_level",
    "levelname",
    "severity_text",
    "severityText",
    "log.level",
    "@level",
    "Level",
)
# Keys that stand for one scale of numbers.
_OTEL_KEYS = ("severity_number", "severityNumber", "SeverityNumber")
_SYSLOG_KEYS = ("PRIORITY", "priority", "syslog_severity")
# RFC 5424, table 2.
_SYSLOG = ("fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug")

_SYSLOG_OF = {str(number): level for number, level in enumerate(_SYSLOG)}

# How far into a line its level is looked for.
_BEGINNING = 160
# ``level=info``, also inside JSON.
_NAMED = re.compile(r"(?:level|severity|lvl)(?:name)?\\?[\"']?\s?[=:]\s?\\?[\"']?(\w{1,13})", re.IGNORECASE)
_NAMED_HINTS = ("evel", "everity", "lvl", "EVEL", "EVERITY", "LVL")
# Words in capitals; a word of prose, of a path or of a name is none. Two are Postgres', with a colon.
_LOUD = re.compile(r"[A-Z](?<![\w/.-].)[A-Z]{2,12}+[1-5]?(?![\w/.=-])")
_PROSE = frozenset(("LOG", "CONFIG", "DEFAULT", "FINE", "FINER", "STATEMENT", "ALERT", "FAIL"))
_WITH_COLON = frozenset(("LOG", "STATEMENT"))
# Words in brackets, before a colon, or behind a program's name.
_ALL = "|".join(sorted((word for word in _LEVEL_OF if len(word) > 2), key=len, reverse=True))
_BRACKETED = re.compile(rf"[\[<(|](?:\w{{1,20}}:)?\s?({_ALL})\s?[\]>)|]", re.IGNORECASE)
_LEADING = re.compile(
    rf"(?:(?:npm|yarn) )?({_ALL}):|npm (ERR)!|(trace|debug|info|warn|warning|error|fatal)\s", re.IGNORECASE
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# klog and glog ``I0102 03:04:05``, Ruby's Logger ``I, [2026-``; syslog ``<34>``; uncaught exceptions.
_LETTERED = re.compile(r"([TDIWEFC])(?:[0-9]{4} [0-9]{2}:|, \[[0-9]{4}-)")
_PRIORITY = re.compile(r"<([0-9]{1,3})>")
_CRASHES = (
    ("Traceback (most recent call last)", "error"),
    ("Exception in thread ", "error"),
    ("panic: ", "fatal"),
    ("fatal error: ", "fatal"),
    ("Uncaught ", "error"),
)


class Level:
    """Sets the field ``level`` to one of LEVELS, where one is found."""

    def __call__(self, events: list[Event]) -> list[Event]:
        """Give events their level."""
        for event in events:
            fields = event.fields
            level = level_of_fields(fields) if fields else None
            if level is None:
                level = level_of_text(event.log)
            if level is not None:
                if fields is None:
                    event.fields = {"level": level}
                else:
                    fields["level"] = level
        return events


def level_of_fields(fields: Mapping[str, Any]) -> str | None:
    """Return the level that the fields of a line say, None if they say none."""
    for key in _KEYS:
        if (value := fields.get(key)) is not None and (level := level_of_value(value)):
            return level
    return _of_numbers(fields) or _nested(fields)


def level_of_value(value: object) -> str | None:
    """Return the level of a word, or of a number of pino and bunyan (from 10 on) or of syslog (to 7)."""
    if isinstance(value, str):
        word = value.strip().lower()
        if found := _LEVEL_OF.get(word):
            return found
        value = int(word) if word.isascii() and word.isdecimal() and len(word) < 4 else None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    if 0 <= value <= 7:
        return _SYSLOG[int(value)]
    return LEVELS[min(int(value), 60) // 10 - 1] if 10 <= value < 100 else None


def _of_numbers(fields: Mapping[str, Any]) -> str | None:
    for key in _OTEL_KEYS:
        # OpenTelemetry logs data model: four numbers for each level, from 1 on.
        if isinstance(number := fields.get(key), int) and 1 <= number <= 24:
            return LEVELS[(number - 1) // 4]
    for key in _SYSLOG_KEYS:
        if isinstance(value := fields.get(key), (str, int)) and (level := _SYSLOG_OF.get(str(value))):
            return level
    # Python's logging: DEBUG is 10 there, CRITICAL 50.
    if isinstance(number := fields.get("levelno"), int) and 10 <= number <= 50:
        return LEVELS[number // 10]
    return None


def _nested(fields: Mapping[str, Any]) -> str | None:
    """Look into ECS's ``log.level`` as an object, and at MongoDB's ``s``."""
    log = fields.get("log")
    if isinstance(log, dict) and (value := log.get("level")) is not None:
        return level_of_value(value)
    letter = fields.get("s")
    return _LETTERS.get(letter[0]) if isinstance(letter, str) and 0 < len(letter) < 3 else None


def level_of_text(line: str) -> str | None:
    """Return the level that the beginning of a line says, None if it says none."""
    text = line[:_BEGINNING]
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    if match := _LETTERED.match(text):
        return _LETTERS[match[1]]
    if _is_named(text) and (match := _NAMED.search(text)) and (found := level_of_value(match[1])):
        return found
    if level := _of_capitals(text):
        return level
    for crash, level in _CRASHES:
        if text.startswith(crash):
            return level
    if match := _BRACKETED.search(text) or _LEADING.match(text):
        return _LEVEL_OF[match[match.lastindex or 1].lower()]
    match = _PRIORITY.match(text)
    return _SYSLOG[int(match[1]) & 7] if match else None


def _is_named(text: str) -> bool:
    for hint in _NAMED_HINTS:  # noqa: SIM110 - a generator costs more than the search
        if hint in text:
            return True
    return False


def _of_capitals(text: str) -> str | None:
    for match in _LOUD.finditer(text):
        word = match[0]
        is_word = word not in _PROSE or (word in _WITH_COLON and text.startswith(":", match.end()))
        if is_word and (level := _LEVEL_OF.get(word.lower())):
            return level
    return None


def _make(values: Values, _counters: Counters) -> Transform | None:
    return Level() if values["level"] else None


TRANSFORM = TransformKind(
    name="level",
    help="Find how serious lines are.",
    stage=Stage.LIFT,
    keys=(
        Option(
            "level",
            kinds.choice("auto"),
            None,
            f"Set the field `level` to {', '.join(LEVELS[:-1])} or {LEVELS[-1]}, from the fields that were "
            "parsed, else from the beginning of the line.",
        ),
    ),
    make=_make,
)
