"""The actor for what is done by calling others: at least once, a few times at most."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, Standing, VerbRequest
from compose_agent.errors import ConfigError
from compose_agent.failpoints import failpoint
from remediation.httpapi import HttpError

logger = logging.getLogger(__name__)

# Between attempts: a server that is restarted is back after the second. The episode waits meanwhile.
PAUSES = (1.0, 5.0)


class Call(Protocol):
    """One kind of call. Stateless."""

    name: str

    def send(self, request: VerbRequest) -> None:
        """Make it once; raises HttpError, and ConfigError for a secret that cannot be read."""


class Caller:
    """An Actor (compose_agent/dockerd/verbs/contract.py) that keeps nothing. Thread-safe.

    A request that is asked for again, after a crash, is made again under the same key. After each failure
    that may pass (no answer, 5xx) there is one of the ``pauses``, in seconds, and another attempt.
    """

    def __init__(self, calls: Mapping[str, Call], *, pauses: Sequence[float] = PAUSES) -> None:
        self._calls = calls
        self._pauses = pauses
        self._closing = threading.Event()

    def perform(self, request: VerbRequest) -> Outcome:
        """Make the call and return how it ended; raises ActorUnavailable when closed meanwhile."""
        error = self._attempt(request)
        for pause in self._pauses:
            if error is None or not _may_pass(error):
                break
            logger.info("%s (%s) failed, trying again: %s", request.verb, request.id, error)
            if self._closing.wait(pause):
                raise ActorUnavailable("the actor is closing", remedy="ask again with the same id")
            error = self._attempt(request)
        if error is None:
            logger.info("%s (%s) is done", request.verb, request.id)
            return Outcome(result=Result.DONE)
        logger.warning("%s (%s) failed: %s", request.verb, request.id, error)
        return Outcome(result=Result.FAILED, reason=str(error))

    def standing(self, request_id: str) -> Standing:
        """Return that nothing is known of any id."""
        return Standing.UNKNOWN

    def close(self) -> None:
        """Let go of whoever waits for another attempt, with ActorUnavailable."""
        self._closing.set()

    def _attempt(self, request: VerbRequest) -> HttpError | ConfigError | None:
        failpoint("caller.before-call")
        try:
            self._calls[request.verb].send(request)
        except (HttpError, ConfigError) as error:
            return error
        finally:
            failpoint("caller.after-call")
        return None


def _may_pass(error: HttpError | ConfigError) -> bool:
    # A file that is being replaced is there again in a moment.
    return isinstance(error, ConfigError) or error.may_pass
