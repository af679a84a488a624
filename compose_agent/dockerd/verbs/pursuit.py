"""One request after it was written down: sent if it provably was not, and looked after to its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.contract import (
    ActorUnavailable,
    Done,
    Facts,
    Failed,
    InProgress,
    NeverSent,
    Observation,
    Unknown,
    Verb,
)
from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.errors import EngineError, EngineRefused
from compose_agent.failpoints import failpoint

logger = logging.getLogger(__name__)

# Of a refusal: whether that was for the time alone.
LATE = "late"
# Statuses that come from a proxy in front of the Engine, which may be at it all the same.
_NOT_THE_ENGINES = frozenset({502, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How an actor waits, in seconds.

    ``settle``: a request that was sent by somebody who died at once may still be on its way to the Engine, so
    only what shows no sign in two looks that far apart was never sent. ``away``: so long may the Engine not
    answer before the caller is told to ask again. ``calls``: so often is one request sent at most that the
    Engine takes no notice of.
    """

    settle: float = 3.0
    first_pause: float = 0.1
    last_pause: float = 1.0
    away: float = 30.0
    calls: int = 3


class Pursuit:
    """See the module. ``wait(seconds)`` pauses, and returns True when the actor is closing."""

    def __init__(
        self,
        client: EngineClient,
        verb: Verb,
        request: VerbRequest,
        facts: Facts,
        *,
        patience: Patience,
        wait: Callable[[float], bool],
    ) -> None:
        self._client = client
        self._verb = verb
        self._request = request
        self._facts = facts
        self._patience = patience
        self._wait = wait
        self._calls = 0
        # Since when the Engine has answered each look without any sign of the request.
        self._untouched_at: float | None = None

    def send(self) -> Outcome:
        """Send it, and follow it to its end; raises ActorUnavailable."""
        while True:
            if self._request.is_late:
                return _too_late(self._calls)
            refusal = self._call()
            outcome = self._outcome(refusal)
            if outcome is not None:
                return outcome
            if self._calls >= self._patience.calls:
                words = f"the Engine was asked {self._calls} times and has not done it"
                return _failed(f"{words}: {refusal.message}" if refusal is not None else words)

    def find_out(self) -> Outcome:
        """Look what became of it, and send it only if it never was; raises ActorUnavailable."""
        return self._outcome(None) or self.send()

    def _call(self) -> EngineRefused | None:
        """Send it and return the Engine's refusal; after any other error nothing is known."""
        self._calls += 1
        self._untouched_at = None
        failpoint("actor.before-call")
        refusal = None
        try:
            self._verb.call(self._client, self._request, self._facts)
        except EngineRefused as refused:
            refusal = None if refused.status in _NOT_THE_ENGINES else refused
        except EngineError as error:
            logger.info("no answer to %s of %s: %s", self._request.verb, self._request.target, error.message)
        failpoint("actor.after-call")
        return refusal

    def _outcome(self, refusal: EngineRefused | None) -> Outcome | None:
        """Look until it has ended; None when it may be sent, or sent again."""
        pause = self._patience.first_pause
        while True:
            seen = self._seen()
            if isinstance(seen, Done | Failed | Unknown):
                return _ended(seen, refusal)
            if isinstance(seen, NeverSent) and refusal is not None:
                return _failed(refusal.message)  # it was answered, so nothing is on its way any more
            if isinstance(seen, InProgress):
                self._untouched_at = None
            elif self._has_settled():
                return None
            self._pause(pause)
            pause = min(pause * 2, self._patience.last_pause)

    def _has_settled(self) -> bool:
        """Tell whether the Engine has gone without any sign of the request for long enough."""
        now = time.monotonic()
        if self._untouched_at is None:
            self._untouched_at = now
        return now - self._untouched_at >= self._patience.settle

    def _seen(self) -> Observation:
        """Return what the verb sees; an Engine that is away is waited for."""
        deadline = time.monotonic() + self._patience.away
        while True:
            failpoint("actor.before-look")
            try:
                return self._verb.observe(self._client, self._request, self._facts)
            except EngineError as error:
                self._untouched_at = None
                if time.monotonic() >= deadline:
                    words = f"what became of {self._request.verb} cannot be seen: {error.message}"
                    raise ActorUnavailable(words, remedy=error.remedy) from error
            self._pause(self._patience.last_pause)

    def _pause(self, seconds: float) -> None:
        if self._wait(seconds):
            raise ActorUnavailable("the actor is closing", remedy="ask again with the same id")


def _ended(seen: Done | Failed | Unknown, refusal: EngineRefused | None) -> Outcome:
    if isinstance(seen, Done):
        return Outcome(result=Result.DONE, details=dict(seen.details))
    if isinstance(seen, Failed):
        return _failed(refusal.message if refusal is not None else seen.reason)
    return Outcome(result=Result.UNKNOWN, reason=seen.reason)


def _too_late(calls: int) -> Outcome:
    words = "it was not begun in time"
    if calls:
        return _failed(f"{words}: the Engine was asked {calls} times before, and has not done it")
    return Outcome(result=Result.REFUSED, reason=words, details={LATE: True})


def _failed(reason: str) -> Outcome:
    return Outcome(result=Result.FAILED, reason=reason)
