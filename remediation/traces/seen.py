"""What this process has seen of an action and the audit does not say: its commit, and each look at it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

# Of an action that never becomes well the words alternate; so many show how.
_MOST_PROBES = 20
# Where nobody traces, nothing is ever told: the oldest are forgotten then.
_MOST_ACTIONS = 1000


@dataclass(slots=True)
class _Action:
    committed_at: float = 0.0
    probes: list[tuple[float, str]] = field(default_factory=list)


class Seen:
    """Kept in memory until the trace is told; a crash takes no span, only these details. Thread-safe.

    Times are Unix seconds.
    """

    def __init__(self) -> None:
        self._actions: dict[str, _Action] = {}
        self._lock = threading.Lock()

    def committed(self, intent_id: str, at: float) -> None:
        """Note that an intent is on disk and may begin."""
        self._of(intent_id).committed_at = at

    def probe(self, intent_id: str, at: float, words: str) -> None:
        """Note what verification has found, if it is another thing than before."""
        probes = self._of(intent_id).probes
        if len(probes) < _MOST_PROBES and (not probes or probes[-1][1] != words):
            probes.append((at, words))

    def committed_at(self, intent_id: str) -> float:
        """Return when an intent was on disk, 0 if an earlier process has seen that."""
        action = self._actions.get(intent_id)
        return action.committed_at if action else 0.0

    def probes(self, intent_id: str) -> Sequence[tuple[float, str]]:
        """Return what was found of an action."""
        action = self._actions.get(intent_id)
        return tuple(action.probes) if action else ()

    def forget(self, intent_id: str) -> None:
        """Forget an action whose trace is told."""
        with self._lock:
            self._actions.pop(intent_id, None)

    def _of(self, intent_id: str) -> _Action:
        with self._lock:
            if intent_id not in self._actions and len(self._actions) >= _MOST_ACTIONS:
                del self._actions[next(iter(self._actions))]
            return self._actions.setdefault(intent_id, _Action())
