"""How an intent is carried out: what the actor is asked for, one request after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest


class Course(Protocol):
    """The requests of one intent, each known when the one before has ended.

    Both methods may raise EngineError and StateError, and are then called again. A course that is made anew
    after a crash begins with the request that was under way, under the same id.
    """

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """What came of it: the last one is that of the whole, none means that there was nothing to do."""

    def next(self) -> VerbRequest | None:
        """Return what is to be asked for now, None at the end."""

    def ended(self, outcome: Outcome) -> None:
        """Take note of how it ended."""


class Listed:
    """A course of requests that are known beforehand; after one that is not done no other is asked for."""

    def __init__(self, requests: Sequence[VerbRequest]) -> None:
        self._requests = requests
        self.outcomes: list[Outcome] = []

    def next(self) -> VerbRequest | None:
        """Return the next one."""
        if self.outcomes and self.outcomes[-1].result is not Result.DONE:
            return None
        return self._requests[len(self.outcomes)] if len(self.outcomes) < len(self._requests) else None

    def ended(self, outcome: Outcome) -> None:
        """Keep the outcome."""
        self.outcomes.append(outcome)
