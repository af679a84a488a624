"""What is asked of an actor and what it answers, as plain values that also travel as JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from compose_agent.boottime import Moment


class VerbRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One action on one target.

    ``id`` is the caller's: whatever happens, the same id is done once. ``target`` is what the verb says: a
    container's full id, ``project/service``, or the id of a Swarm service. ``arguments`` are those of the
    verb. ``reason`` is a sentence for logs. After ``begin_by`` nothing is sent to the Engine any more.
    """

    id: str
    verb: str
    target: str
    arguments: dict[str, Any] = {}
    reason: str = ""
    begin_by: Moment | None = None

    @property
    def is_late(self) -> bool:
        """Tell whether it may not be begun any more."""
        return self.begin_by is not None and self.begin_by.is_past()


class Result(StrEnum):
    """How a request ended.

    ``REFUSED``: nothing was done, and this request never will be. ``FAILED``: it was tried, and is not so.
    ``UNKNOWN``: nothing that can still be seen tells whether it was done, so it must not be done again.
    """

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a request; ``reason`` is a sentence, empty when it is done; ``details`` are the verb's."""

    result: Result
    reason: str = ""
    details: dict[str, Any] = {}


class Standing(StrEnum):
    """What an actor knows of an id."""

    UNKNOWN = "unknown"
    STARTED = "started"
    ENDED = "ended"
