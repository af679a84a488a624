"""The sinks: one protocol, one module, one ``SINK``.

A module in this folder that has a ``SINK`` is found by itself. Another package adds one by an entry point in
the group ``compose_agent.sinks`` that names an object of the same type.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points

from compose_agent.errors import ComposeAgentError
from log_forwarder.sinks.contract import Sink, SinkContext, SinkKind
from log_forwarder.sinks.word import SinkWord, parse_word

ENTRY_POINT_GROUP = "compose_agent.sinks"
# For schemes whose protocol has no port of its own.
_NO_PORT = 0
_PORTS = {
    "fluentd": 24224,
    "elasticsearch": 9200,
    "logstash": 5044,
    "kafka": 9092,
    "otlp": 4318,
    "loki": 3100,
}


@cache
def registered() -> tuple[SinkKind, ...]:
    """Return every kind of sink there is; ComposeAgentError for one that cannot be loaded."""
    kinds = [*_built_in(), *_foreign()]
    if not all(isinstance(kind, SinkKind) for kind in kinds):
        raise ComposeAgentError("a package adds a sink that is none", remedy="upgrade or remove it")
    return tuple(kinds)


def _built_in() -> Iterator[SinkKind]:
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        kind = getattr(importlib.import_module(f"{__name__}.{name}"), "SINK", None)
        if kind is not None:
            yield kind


def _foreign() -> Iterator[SinkKind]:
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            yield entry.load()
        except Exception as error:  # another package's code, which may raise anything
            raise ComposeAgentError(
                f"the sink {entry.value} cannot be loaded ({error})", remedy="upgrade or remove the package"
            ) from error


def kind_of(word: SinkWord) -> SinkKind:
    """Return the kind of a parsed word."""
    return {scheme: kind for kind in registered() for scheme in kind.schemes}[word.scheme]


def parse(text: str) -> SinkWord:
    """Return the sink in ``text``, as a kind of option value; ValueError says what is wrong."""
    ports = {
        scheme: _PORTS.get(scheme.partition("+")[0], _NO_PORT)
        for kind in registered()
        for scheme in kind.schemes
    }
    return parse_word(text, ports)


def make_sink(word: SinkWord, context: SinkContext) -> Sink:
    """Return the sink of a word; raises ConfigError."""
    kind = kind_of(word)
    word.refuse_unknown(kind.options)
    return kind.make(word, context)
