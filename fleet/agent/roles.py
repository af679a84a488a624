"""How the other roles of this host are, asked on their local sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient

# Roles answer from memory; one that hangs is not to hold up a heartbeat.
_ASK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class RoleState:
    """One role: since when it is as it is (Unix time), its listeners, and what is wrong, if anything."""

    name: str
    healthy: bool
    error: str
    since: float
    listeners: tuple[str, ...] = ()


class RolesReader:
    """Asks the roles that ``names`` gives; remembers since when each is as it is."""

    def __init__(
        self, run_dir: Path, names: Callable[[], Sequence[str]], now: Callable[[], float] = time.time
    ) -> None:
        self._run_dir = run_dir
        self._names = names
        self._now = now
        self._before: dict[str, RoleState] = {}

    def read(self) -> tuple[RoleState, ...]:
        """Return every role, in the order of their names."""
        found = {name: self._ask(name) for name in sorted(self._names())}
        self._before = found
        return tuple(found.values())

    def _ask(self, name: str) -> RoleState:
        try:
            ready = LocalClient(self._run_dir, name, _ASK_SECONDS).ready()
            error, listeners = "; ".join(ready.reasons), ready.listeners
        except ComposeAgentError as failure:
            error, listeners = failure.message, ()
        before = self._before.get(name)
        same = before is not None and before.healthy is not bool(error)
        return RoleState(name, not error, error, before.since if before and same else self._now(), listeners)
