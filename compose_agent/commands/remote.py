"""What a manager has set, as ``run`` takes it: checked whole while on trial, dropped if nothing starts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from compose_agent.commands.roles import load_checked
from compose_agent.config import Config, ConfigSource
from compose_agent.config.remote import Record
from compose_agent.errors import ComposeAgentError, ConfigError
from compose_agent.role import RoleSpec

logger = logging.getLogger(__name__)

# Of the whole program while one configuration is tried: then it is to blame, whatever ends the program.
_MOST_STARTS = 3


class Guarded:
    """A source whose layer from the manager cannot keep this host from starting.

    ``choose`` returns the roles that a configuration runs, and raises ConfigError for one that they refuse.
    """

    def __init__(self, source: ConfigSource, choose: Callable[[Config], Sequence[RoleSpec]]) -> None:
        assert source.remote is not None  # noqa: S101 - there is nothing to guard against otherwise
        self._source = source
        self._remote = source.remote
        self._choose = choose
        self._begun = ""  # the hash of what this start is with

    def first(self) -> Config:
        """Return the configuration to start with; raises ConfigError when the host's own is wrong."""
        self._count_start()
        self._begun = _hash(self._remote.read())
        try:
            return self._judged(self._source)
        except ConfigError as error:
            local = self._judged(replace(self._source, remote=None))
            if self._remote.read().in_force is None:
                raise
            self._drop(str(error))
            return local

    def load(self, roles: Sequence[RoleSpec]) -> Config:
        """Return the configuration anew, as ``roles`` judge it; what is on trial is judged by every role."""
        if self._remote.read().trial is None:
            return load_checked(self._source, roles)
        from compose_agent.commands.check import load_whole  # noqa: PLC0415 - loads every role's labels

        return load_whole(self._source)

    def has_started(self) -> None:
        """Note that every role runs with what this start was with; something else may be in force by now."""
        if self._begun:
            self._remote.change(
                lambda record: record.has_started() if _hash(record) == self._begun else record
            )

    def drops_after(self, failure: ComposeAgentError) -> bool:
        """Drop what is in force if no start has succeeded with it yet; tell whether to start again."""
        record = self._remote.read()
        if record.in_force is None or record.started:
            return False
        self._drop(str(failure))
        return True

    def _judged(self, source: ConfigSource) -> Config:
        config = source.load()
        self._choose(config)
        return config

    def _count_start(self) -> None:
        if self._remote.read().trial is None:
            return
        if self._remote.change(Record.start).starts > _MOST_STARTS:
            self._drop(
                f"the agent was started {_MOST_STARTS} times with it, and each time did not come so far"
            )

    def _drop(self, reason: str) -> None:
        logger.error("the agent does not start with what its manager has set", extra={"reason": reason})
        self._remote.change(lambda record: record.dropped(f"the agent does not start with it: {reason}"))


def _hash(record: Record) -> str:
    return record.in_force.hash if record.in_force else ""
