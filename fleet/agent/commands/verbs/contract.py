"""The contract between who keeps commands and what carries them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from compose_agent.boottime import Moment
from compose_agent.errors import ComposeAgentError
from fleet.envelopes.command import Command, Stage


class Refused(ComposeAgentError):
    """A verb will not do this; nothing was done. The message is the reason."""


class Again(ComposeAgentError):
    """What the verb needs is not there at the moment, and nothing was begun: it is tried again in time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended; ``result`` can be written as JSON."""

    stage: Stage
    detail: str = ""
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Means:
    """What a verb may use beside the command: its deadline, a way to tell how far it is, a pause.

    ``pause`` waits so many seconds, and returns True when the agent is to end: the verb then raises Again.
    """

    begin_by: Moment
    progress: Callable[[str], None]
    pause: Callable[[float], bool]


class Verb(Protocol):
    """One thing that can be asked for. Called in any of several threads.

    ``repeatable``: asked again for the same id, after this process was killed, it finds out what became of
    it, and does nothing twice or late. Others are done again in time, as that changes nothing, and not later.
    """

    name: str
    repeatable: bool

    def check(self, command: Command) -> None:
        """Raise Refused for what could never be carried out; quick, and without I/O."""

    def run(self, command: Command, means: Means) -> Outcome:
        """Do it; raises Refused, Again, and ComposeAgentError for a failure."""
