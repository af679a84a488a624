"""What a word says about an ``elasticsearch`` sink: where documents go, and how they are sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from compose_agent.config import kinds
from log_forwarder.sinks.word import SinkWord

DEFAULT_TARGET = "logs-docker-default"
# Characters and beginnings that an index name cannot have, and its length in bytes.
_FORBIDDEN = re.compile(r'[\\*?"<>|\s,#:A-Z]')
_FORBIDDEN_START = ("-", "_", "+", ".")
_LONGEST_NAME = 255
# A name changes with the hour at most: one for each minute would make thousands of indices.
_DIRECTIVES = frozenset("YymdHjGV")
_DIRECTIVE = re.compile(r"%(.?)")
_DATE = re.compile(r"%.(.*%.)?")

OPTIONS = {
    "stream": "Whether the path names a data stream (default true); a path with % never does.",
    "pipeline": "Ingest pipeline that documents go through (default: the index's own).",
    "compress": "gzip (default) or none.",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where documents go: a data stream, one index, or an index for each date of the events.

    ``prefix`` is what stands before the name in every URL path, for a server behind a reverse proxy.
    """

    name: str
    kind: Literal["stream", "index", "dated"]
    prefix: str = ""

    @property
    def pattern(self) -> str:
        """The name, or what matches every name that it can become."""
        return _DATE.sub("*", self.name)

    @property
    def data_stream(self) -> dict[str, str] | None:
        """The ECS ``data_stream`` of a stream that is named ``TYPE-DATASET-NAMESPACE``, else None."""
        parts = self.name.split("-")
        if self.kind != "stream" or len(parts) != 3 or not all(parts):
            return None
        return dict(zip(("type", "dataset", "namespace"), parts, strict=True))


@dataclass(frozen=True, slots=True)
class Options:
    """What is this sink's own; the connection's options are in :mod:`log_forwarder.sinks.http`."""

    target: Target
    pipeline: str = ""
    compress: bool = True


def options_of(word: SinkWord) -> Options:
    """Return the options of a word; raises ConfigError."""
    compress = word.read("compress", kinds.choice("gzip", "none"), "gzip")
    return Options(_target(word), word.read("pipeline", kinds.string, ""), compress == "gzip")


def _target(word: SinkWord) -> Target:
    prefix, _, name = word.path.rpartition("/")
    name = name or DEFAULT_TARGET
    if "%" in name:
        kind: Literal["stream", "index", "dated"] = "dated"
    else:
        kind = "stream" if word.read("stream", kinds.boolean, default=True) else "index"
    if wrong := _wrong_with(name):
        raise word.problem(f"'{name}' cannot be an index: {wrong}")
    return Target(name, kind, prefix)


def _wrong_with(name: str) -> str:
    plain = _DIRECTIVE.sub("", name)
    if found := _FORBIDDEN.search(plain):
        return f"it has {found[0]!r} (only lower case, digits and . _ - may stand in it)"
    if name.startswith(_FORBIDDEN_START):
        return f"it begins with {name[0]!r}"
    if len(name.encode()) > _LONGEST_NAME:
        return f"it is longer than {_LONGEST_NAME} bytes"
    unknown = [each for each in _DIRECTIVE.findall(name) if each not in _DIRECTIVES]
    return f"%{unknown[0]} is none of %Y %y %m %d %H %j %G %V" if unknown else ""
