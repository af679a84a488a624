"""The arguments of actions: how they are read, and what the documentation says of them.

Their values can be written as JSON, because they travel to the journal and the actor.
"""

from __future__ import annotations

import re
import signal
from urllib.parse import urlsplit

from compose_agent.config import Option, kinds
from compose_agent.config.kinds import Detail, Kind
from compose_agent.config.nearest import did_you_mean, nearest

# As the verb has it: more replicas on one host are a mistake.
MOST_REPLICAS = 500
# Of a stop; whoever needs longer has set it on the container.
_LONGEST_STOP_SECONDS = 3600
# How many replicas there may be where neither a label nor the policy says so.
DEFAULT_LEAST, DEFAULT_MOST = 1, 3
LEAST_WORD, MOST_WORD = "min", "max"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SIGNALS = tuple(sorted(each.name for each in signal.Signals))


def _signal(text: str) -> str:
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name not in _SIGNALS:
        raise Detail(f"there is no signal '{text}'{did_you_mean(nearest(name, _SIGNALS))}")
    return name


def _stop_seconds(text: str) -> int:
    seconds = kinds.parse_duration(text)
    if seconds != int(seconds) or seconds > _LONGEST_STOP_SECONDS:
        raise ValueError(text)
    return int(seconds)


def _replicas_or_word(text: str) -> int | str:
    return text if text in {LEAST_WORD, MOST_WORD} else _replicas.parse(text)


def _difference(text: str) -> int:
    number = _replicas.parse(text.removeprefix("+").removeprefix("-"))
    return -number if text.startswith("-") else number


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(text)
    return text


def _url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or not url.hostname or not text.isascii() or " " in text:
        raise ValueError(text)
    if "${" in text:
        raise Detail("expected a URL as it is: labels cannot choose where something is sent")
    if url.username is not None or url.password is not None:
        raise Detail("expected a URL without user and password: a secret belongs into header-file")
    return text


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(text)
    return text


_replicas = kinds.whole_number(1, MOST_REPLICAS)
signal_name = Kind("signal", "a signal such as SIGTERM", _signal)
name = Kind("name", "a name of letters, digits and . _ -", _name)
url = Kind("URL", "a URL that begins with http:// or https://", _url)
_file = Kind("path", "a path", lambda text: str(kinds.path.parse(text)))

STOP_TIMEOUT = Option(
    "timeout",
    Kind("seconds", "whole seconds up to 1h, such as 30s", _stop_seconds),
    None,
    "How long the container may take to stop before it is killed. Unset: what the container says, or 10s.",
)
_STOP_SIGNAL = Option("signal", signal_name, None, "What is sent instead of the container's own stop signal.")
STOPPING = (STOP_TIMEOUT, _STOP_SIGNAL)
SCALING = (
    Option(
        "to",
        Kind("replicas", f"a whole number from 1 to {MOST_REPLICAS}, or min or max", _replicas_or_word),
        None,
        "How many replicas there shall be.",
    ),
    Option(
        "by",
        Kind("difference", f"a number of replicas such as 1 or -1, up to {MOST_REPLICAS}", _difference),
        None,
        "How many more, or fewer, there shall be than there are.",
    ),
    Option(
        LEAST_WORD,
        _replicas,
        str(DEFAULT_LEAST),
        "The fewest, where the service's label `compose-agent.scale.min` says nothing.",
    ),
    Option(
        MOST_WORD,
        _replicas,
        str(DEFAULT_MOST),
        "The most, where the service's label `compose-agent.scale.max` says nothing.",
    ),
)
THROUGH = Option(
    "through",
    kinds.choice("auto", "engine", "cli"),
    "auto",
    "By clones made through the Engine, by `docker compose` (which needs the project's files), or by the "
    "latter where the former cannot be right.",
)
SECRET = (
    Option(
        "header-file",
        _file,
        None,
        "File with the value of a header that is secret, such as `Bearer …`; read anew each time.",
    ),
    Option(
        "header", Kind("header", "the name of a header", _header), "Authorization", "The name of that header."
    ),
)
ANSWER_WITHIN = Option("timeout", kinds.positive_duration, "10s", "How long an answer is waited for.")
