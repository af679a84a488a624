"""How much the actor does at most, whoever asks: the last line against a storm of requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Counts(Protocol):
    """Who remembers, also across restarts, what was begun."""

    def started_since(self, moment: float, subject: str | None = None) -> int:
        """Return how many requests were begun after a Unix time, on one subject or on all."""


class Admission(Protocol):
    """Who may refuse one more action."""

    def refusal(self, counts: Counts, subject: str) -> str:
        """Return why one more action on ``subject`` is too many; empty when it is not."""


class Unbounded:
    """Refuses nothing: for an actor in the process of a guard whose budgets are on disk themselves."""

    def refusal(self, counts: Counts, subject: str) -> str:
        """Return nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Limits:
    """So many actions in any ``window_seconds``; more than a sane policy ever asks for."""

    per_target: int = 12
    per_host: int = 60
    window_seconds: float = 600.0


class Budget:
    """Counts what the journal says was begun, so that neither a restart nor a crash gives anything back."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._clock = clock

    def refusal(self, counts: Counts, subject: str) -> str:
        """Return why one more action on ``subject`` is too many; empty when it is not."""
        limits = self._limits
        since = self._clock() - limits.window_seconds
        window = f"within {limits.window_seconds:g} s"
        if (done := counts.started_since(since, subject)) >= limits.per_target:
            return f"{done} actions on {subject} {window} are all that the actor's budget allows"
        if (done := counts.started_since(since)) >= limits.per_host:
            return f"{done} actions on this host {window} are all that the actor's budget allows"
        return ""
