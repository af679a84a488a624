"""What may be asked over the read socket: the exact list, and the judge that holds requests against it.

Nothing of a request is passed on. It is taken apart, each part must have a form that stands here, and what
goes to the Engine is written anew from the parts. So it does not matter how the Engine would read an
unusual spelling: there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import msgspec

from compose_agent.typed import from_json

METHODS = ("GET", "HEAD")
# Several times what the Docker CLI and Compose send.
MAX_TARGET_CHARACTERS = 8192
# What every answer but the slow ones takes, even where thousands of containers are listed.
ANSWER_SECONDS = 30.0
# Sizes of images and volumes are counted on the disk.
DISK_SECONDS = 180.0

_VERSION = r"(?P<version>/v1\.[0-9]{1,3})?"
_ID = r"(?P<id>[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254})"
_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")

_FLAG = re.compile(r"0|1|true|false|True|False")
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_MOMENT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_TAIL = re.compile(r"(all|[0-9]{1,9})?")
_KIND = re.compile(r"container|image|volume|build-cache")
# Other arguments make ps show the environment of processes (``e``), which is redacted elsewhere.
_PS = re.compile(r"-ef|aux")


class _Filters:
    """The Engine's filters: a JSON object of lists, or of sets as older clients write them."""

    def fullmatch(self, text: str) -> bool:
        try:
            from_json(text, dict[str, list[str] | dict[str, bool]])
        except (msgspec.DecodeError, ValueError, RecursionError):
            return False
        return True


_FILTERS = _Filters()
_Form = re.Pattern[str] | _Filters


@dataclass(frozen=True, slots=True)
class Route:
    """A question that may be asked; ``name`` has ``{id}`` where a container is named.

    ``streams``: its answer may go on for ever. ``redacts``: its answer holds environment values.
    """

    name: str
    query: Mapping[str, _Form] = field(default_factory=dict)
    repeats: str = ""  # the one parameter that may stand several times
    streams: bool = False
    redacts: bool = False
    seconds: float = ANSWER_SECONDS

    def matches(self, path: str) -> re.Match[str] | None:
        """Return the parts of a path, anchored at both ends."""
        return re.fullmatch(_VERSION + "/" + self.name.replace("{id}", _ID), path)


_LIST = {"filters": _FILTERS}

ROUTES = (
    Route("_ping"),
    Route("version"),
    Route("info"),
    Route("events", {"since": _MOMENT, "until": _MOMENT, **_LIST}, streams=True),
    # trunc_cmd: the docker library for Python sends it, and the Engine does not look at it.
    Route("containers/json", {"all": _FLAG, "limit": _NUMBER, "size": _FLAG, "trunc_cmd": _FLAG, **_LIST}),
    Route("containers/{id}/json", {"size": _FLAG}, redacts=True),
    Route("containers/{id}/stats", {"stream": _FLAG, "one-shot": _FLAG}, streams=True),
    # Not details: it adds the environment variables that the log driver is told to add.
    Route(
        "containers/{id}/logs",
        {
            **dict.fromkeys(("follow", "stdout", "stderr", "timestamps"), _FLAG),
            **dict.fromkeys(("since", "until"), _MOMENT),
            "tail": _TAIL,
        },
        streams=True,
    ),
    Route("containers/{id}/top", {"ps_args": _PS}),
    Route(
        "images/json",
        {**dict.fromkeys(("all", "digests", "shared-size", "manifests", "only_ids"), _FLAG), **_LIST},
    ),
    Route("volumes", _LIST),
    Route("networks", _LIST),
    Route("system/df", {"type": _KIND, "verbose": _FLAG}, repeats="type", seconds=DISK_SECONDS),
    Route("services", {"status": _FLAG, **_LIST}, redacts=True),
    Route("tasks", _LIST, redacts=True),
    Route("nodes", _LIST),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What goes to the Engine in place of a request."""

    route: Route
    method: str
    path: str
    query: tuple[tuple[str, str], ...]


class NotServed(Exception):
    """A request that is not served; ``reason`` is a word for metrics, the text a sentence for people."""

    def __init__(self, reason: str, sentence: str, status: int = 403) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.status = status


def judge(method: str, target: str) -> Question:
    """Return what a request asks for, from its first line as it was sent; raises NotServed."""
    if method not in METHODS:
        raise NotServed("method", "this socket answers GET and HEAD only: it changes nothing")
    if len(target) > MAX_TARGET_CHARACTERS or not target.isascii():
        raise NotServed("path", "this is not an address that this socket knows")
    path, mark, query = target.partition("?")
    for route in ROUTES:
        if found := route.matches(path):
            return Question(route, method, _written(route, found), _parameters(route, query) if mark else ())
    raise NotServed("path", "this path is not on the list of what this socket answers, see SECURITY.md")


def _written(route: Route, found: re.Match[str]) -> str:
    parts = found.groupdict()
    name = route.name.replace("{id}", parts.get("id") or "")
    return f"{parts['version'] or ''}/{name}"


def _parameters(route: Route, query: str) -> tuple[tuple[str, str], ...]:
    parameters = [_parameter(route, piece) for piece in query.split("&")]
    names = [name for name, _ in parameters if name != route.repeats]
    if len(set(names)) != len(names):
        raise NotServed("query", f"a parameter of /{route.name} stands there twice")
    return tuple(parameters)


def _parameter(route: Route, piece: str) -> tuple[str, str]:
    name, _, raw = piece.partition("=")
    form = route.query.get(name)
    if form is None:
        known = ", ".join(route.query) or "no parameters"
        raise NotServed("query", f"a parameter of /{route.name} is not on the list, which has {known}")
    try:
        value = _decoded(raw)
    except ValueError:
        value = "\0"
    if not form.fullmatch(value):
        raise NotServed("query", f"the value of {name} does not have the form that /{route.name} takes here")
    return name, value


def _decoded(raw: str) -> str:
    if _PERCENT.search(raw):
        raise ValueError(raw)
    return unquote_to_bytes(raw.replace("+", " ")).decode()
