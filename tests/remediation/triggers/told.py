"""What a trigger has told, and whoever takes it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from remediation.model import Signal


def words(signals: Iterable[Signal]) -> list[str]:
    """Return ``+Name`` for each signal that fires and ``-Name`` for each that does not."""
    return [("+" if each.firing else "-") + each.name for each in signals]


class Inbox:
    """Keeps signals; refuses as often as it is told to, and loses what it refuses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.signals: list[Signal] = []
        self.refusals = 0

    def receive(self, signals: Sequence[Signal]) -> None:
        """Take signals, or raise."""
        with self._lock:
            if self.refusals:
                self.refusals -= 1
                raise OSError("no space left on device")
            self.signals += signals

    def told(self, *names: str) -> list[str]:
        """Return what was told, in words; only of these names, if any are given."""
        with self._lock:
            return words(each for each in self.signals if not names or each.name in names)


class Memories:
    """Values by name, in memory; saving fails as often as it is told to."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.failures = 0

    def load(self, name: str) -> bytes | None:
        """Return a value."""
        return self.values.get(name)

    def save(self, name: str, data: bytes) -> None:
        """Keep a value, or raise."""
        if self.failures:
            self.failures -= 1
            raise OSError("no space left on device")
        self.values[name] = data
