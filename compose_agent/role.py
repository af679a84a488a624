"""What a role is to the processes that run it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from compose_agent.config import Config


@dataclass(slots=True)
class ConfigState:
    """Which configuration is in force, and how the last attempt to change it went.

    ``revision`` counts from 1; ``last_success`` is Unix time.
    """

    revision: int = 1
    successful: bool = True
    last_success: float = 0.0

    def applied(self, revision: int) -> None:
        """Note that a configuration was taken."""
        self.revision, self.successful, self.last_success = revision, True, time.time()

    def refused(self) -> None:
        """Note that a configuration was wrong and the one before stays in force."""
        self.successful = False


class Role(Protocol):
    """One part of the agent: made with a configuration, started once, given new configurations, stopped."""

    def start(self) -> None:
        """Listen and begin; raises ComposeAgentError for what a person must mend first."""

    def apply(self, config: Config) -> None:
        """Take a new configuration whole, or raise ComposeAgentError and change nothing."""

    def stop(self) -> None:
        """Finish what was begun, within seconds."""

    def listeners(self) -> tuple[str, ...]:
        """Return the URLs on which the role listens."""

    def reasons(self) -> tuple[str, ...]:
        """Return why the role is not ready; nothing when it is."""

    def routes(self) -> WSGIApplication | None:
        """Return what the role serves on its local socket, beside health and reload."""


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """A role by name, which is also its section of the configuration, with its options and how it is made."""

    name: str
    settings: type[Any]
    title: str
    make: Callable[[Config, ConfigState], Role]
    check: Callable[[Config], None]  # raises ConfigError for what only the role itself can judge
    # Makes one of several processes that share the role's work, for instance "0/4"; raises ValueError.
    make_share: Callable[[Config, ConfigState, str], Role] | None = None


def share_name(role: str, share: str) -> str:
    """Return what one of several processes of a role is called: ``logs-0`` for the share ``0/4``."""
    return f"{role}-{share.partition('/')[0]}"
