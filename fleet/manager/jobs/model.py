"""A job and its parts."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from fleet.envelopes.command import ENDS, Stage
from fleet.manager.commands.asked import Order

# A larger result is with its command.
MOST_RESULT_BYTES = 4096


class Spread(StrEnum):
    """Whom the parts of a job are for."""

    EACH = "each"  # one part for each node, and for no other
    ANY = "any"  # each part for any one of the nodes


class State(StrEnum):
    """How a job stands; all but the first are ends."""

    RUNNING = "running"
    DONE = "done"  # every part is
    PARTIAL = "partial"  # some parts are
    FAILED = "failed"  # no part is
    CANCELLED = "cancelled"  # nothing more was begun, and not every part is done


class Attempt(msgspec.Struct, frozen=True):
    """One command that a part was given out as."""

    command: str
    uid: bytes
    node_id: str
    stage: Stage = Stage.SENT
    detail: str = ""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a job. ``uid`` is the node that it is for, empty when that may be any.

    ``stage`` is WAITING before it is given out, UNANSWERED at the end when nobody could say.
    """

    number: int
    arguments: dict[str, str] = {}
    uid: bytes = b""
    node_id: str = ""
    stage: Stage = Stage.WAITING
    detail: str = ""
    result: dict[str, Any] = {}
    attempts: list[Attempt] = []
    over: bool = False

    @property
    def is_out(self) -> bool:
        """Tell whether it is given out, and has not ended."""
        return not self.over and self.stage is not Stage.WAITING

    def given(self, command: str, uid: bytes, node_id: str, stage: Stage) -> Part:
        """Return it given out to a node."""
        attempts = [*self.attempts, Attempt(command, uid, node_id, stage)]
        return msgspec.structs.replace(self, stage=stage, node_id=node_id, detail="", attempts=attempts)

    def at(self, stage: Stage, detail: str, result: dict[str, Any]) -> Part:
        """Return it with what its command has come to."""
        last = msgspec.structs.replace(self.attempts[-1], stage=stage, detail=detail)
        kept = result if len(msgspec.json.encode(result)) <= MOST_RESULT_BYTES else {}
        return msgspec.structs.replace(
            self,
            stage=stage,
            detail=detail,
            result=kept,
            attempts=[*self.attempts[:-1], last],
            over=stage in ENDS,
        )

    def again(self) -> Part:
        """Return it as one that is to be given out once more."""
        return msgspec.structs.replace(self, stage=Stage.WAITING, over=False)

    def ended(self, stage: Stage, detail: str) -> Part:
        """Return it ended without another command."""
        return msgspec.structs.replace(self, stage=stage, detail=detail, over=True)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. Times are Unix seconds of the manager's clock; nothing is begun after ``deadline``.

    ``environments`` are those of the nodes that it was given for: it is for no node of another, and exists
    for those who see all of them.
    """

    id: str
    order: Order
    spread: Spread
    selector: str
    nodes: list[str]
    parallelism: int
    retries: int
    actor: str
    environments: list[str]
    issued: float
    deadline: float
    traceparent: str
    state: State = State.RUNNING
    ended: float = 0.0
    cancelled_by: str = ""
