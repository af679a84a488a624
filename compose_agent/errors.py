"""Every error that Compose Agent raises on purpose.

::

    ComposeAgentError            exit 1   the root; carries a remedy
    ├── ConfigError              exit 2   configuration or usage, with file and line
    ├── ListenError              exit 3   an address cannot be listened on
    ├── InstanceRunning          exit 6   another process holds the role's lock
    ├── StateError               exit 1   what a role keeps on disk cannot be read or written
    └── EngineError              exit 1   the Docker Engine, from here down
        ├── EngineUnreachable             no socket, connection refused or reset
        ├── EngineTimeout                 no whole answer within the deadline
        ├── EngineGarbage                 an answer that is not what the API promises
        ├── EngineRefused                 a status of 400 and above
        │   └── EngineNotFound            404: the container is gone
        ├── EnginePermission     exit 4   the socket is there, but not for this user
        └── EngineUnsupported    exit 5   no API version in common

The exit codes are part of the command line's contract (docs/cli.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class ComposeAgentError(Exception):
    """A failure with one sentence for a person, and what that person can do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration: where it stands and what is wrong with it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(ComposeAgentError):
    """Configuration or usage that cannot be taken; lists every problem found, in order."""

    exit_code = 2

    def __init__(self, problems: Problem | list[Problem]) -> None:
        self.problems = [problems] if isinstance(problems, Problem) else problems
        super().__init__("\n".join(map(str, self.problems)))


class ListenError(ComposeAgentError):
    """An address that cannot be listened on."""

    exit_code = 3


class InstanceRunning(ComposeAgentError):
    """A second instance of a role on the same state directory."""

    exit_code = 6


class StateError(ComposeAgentError):
    """What a role keeps on disk cannot be read or written."""


class EngineError(ComposeAgentError):
    """The Docker Engine could not do what was asked."""


class EngineUnreachable(EngineError):
    """No socket there, nobody listening, or the connection broke."""


class EngineTimeout(EngineError):
    """No whole answer within the deadline of the call."""


class EngineGarbage(EngineError):
    """An answer that is not what the Engine API promises."""


class EngineRefused(EngineError):
    """The Engine answered with a status of 400 or above."""

    def __init__(self, message: str, *, status: int, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class EngineNotFound(EngineRefused):
    """The Engine does not know the object (404)."""


class EnginePermission(EngineError):
    """The socket exists, but this user may not use it."""

    exit_code = 4


class EngineUnsupported(EngineError):
    """This agent and this Engine have no API version in common."""

    exit_code = 5
