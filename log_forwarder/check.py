"""What of the forwarder's configuration only the forwarder itself can judge."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path

from compose_agent.errors import ConfigError, Problem
from compose_agent.web.webfile import WebConfigFile
from log_forwarder.settings import ForwarderSettings
from log_forwarder.sinks import kind_of, make_sink
from log_forwarder.sinks.contract import SinkContext
from log_forwarder.transforms import TransformSettings, problems_of


def check(settings: ForwarderSettings, transforms: TransformSettings) -> None:
    """Raise ConfigError for whatever a start would not take; opens no connection."""
    problems: list[Problem] = []
    for word in settings.sinks:
        try:
            make_sink(word, SinkContext(word.name, socket.gethostname(), Path("/"), Path("/")))
            _ = word.required
        except ConfigError as error:
            problems += error.problems
    if settings.workers > 1:
        problems += [
            Problem(f"sink {word.base}", "cannot be used by several processes: set workers to 1")
            for word in settings.sinks
            if not kind_of(word).sharable
        ]
    names = Counter(word.name for word in settings.sinks)
    problems += [
        Problem("logs.sink", f"two sinks are called {name}: give one another name with ?name=")
        for name, count in names.items()
        if count > 1
    ]
    problems += [Problem("logs", problem) for problem in problems_of(transforms)]
    if problems:
        raise ConfigError(problems)
    if settings.web_config_file:
        WebConfigFile(settings.web_config_file)
