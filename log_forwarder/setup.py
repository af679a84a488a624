"""Preparing the servers behind the sinks, for those kinds that have something to prepare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from compose_agent.errors import ConfigError, Problem
from log_forwarder.sinks import kind_of, registered
from log_forwarder.sinks.word import SinkWord


def setup_options() -> dict[str, str]:
    """Return the options of every kind's setup, by name, with a sentence each."""
    setups = [kind.setup for kind in registered() if kind.setup]
    return {name: text for setup in setups for name, text in setup.options.items()}


def set_up(words: Sequence[SinkWord], given: Mapping[str, str]) -> Iterator[str]:
    """Prepare the server of each sink, and yield a sentence for each thing when it is done.

    ``given`` holds values of :func:`setup_options`. Raises ConfigError when no sink has anything to prepare.
    """
    prepared = [(setup, word) for word in words if (setup := kind_of(word).setup)]
    if not prepared:
        raise ConfigError(Problem("logs.sink", _nothing_to_do(words)))
    for setup, word in prepared:
        yield from setup.run(word, {name: given[name] for name in setup.options if name in given})


def _nothing_to_do(words: Sequence[SinkWord]) -> str:
    able = " or ".join(kind.name for kind in registered() if kind.setup)
    if not words:
        return f"no sink is configured: name one of kind {able} with --sink"
    kinds = ", ".join(sorted({kind_of(word).name for word in words}))
    return f"nothing is to be set up for sinks of kind {kinds}, only for {able}"
