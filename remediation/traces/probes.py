"""What verification has seen of an action, one word after the other."""

from __future__ import annotations

from collections.abc import Sequence

# Of an action that never becomes well the words alternate; so many show how.
_MOST_PROBES = 20


class Probes:
    """Kept in memory until the trace is told: of a look that a crash takes nothing is missed. Thread-safe."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[float, str]]] = {}

    def note(self, intent_id: str, at: float, words: str) -> None:
        """Note what is seen at a time (Unix seconds), if it is another thing than before."""
        seen = self._seen.setdefault(intent_id, [])
        if len(seen) < _MOST_PROBES and (not seen or seen[-1][1] != words):
            seen.append((at, words))

    def of(self, intent_id: str) -> Sequence[tuple[float, str]]:
        """Return what was seen of an action."""
        return tuple(self._seen.get(intent_id, ()))

    def forget(self, intent_id: str) -> None:
        """Forget an action whose trace is told."""
        self._seen.pop(intent_id, None)
