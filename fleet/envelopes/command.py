"""Commands as they travel: JSON in custom messages of the capability ``com.compose-agent.command.v1``.

=============  =========  ===================================================================================
type           sent by    data
=============  =========  ===================================================================================
``command``    manager    :class:`Command`; sent again until the agent has said how it ended
``report``     agent      :class:`Report`; the end of a command is sent again until it is ``received``
``received``   manager    :class:`Received`
``clock``      both       :class:`Clock`, asked by the agent and answered by the manager
=============  =========  ===================================================================================

Members that are not known are left out of account, so that later versions can add some; what changes the
meaning of others is another capability.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from compose_agent.errors import ComposeAgentError
from compose_agent.typed import from_json

CAPABILITY = "com.compose-agent.command.v1"
COMMAND, REPORT, RECEIVED, CLOCK = "command", "report", "received", "clock"

T = TypeVar("T", bound=msgspec.Struct)

# No name, id or reason is nearly as long.
MOST_CHARACTERS = 1024
MOST_ARGUMENTS = 32


class MalformedEnvelope(ComposeAgentError):
    """Data that is not what its type says."""


class Stage(StrEnum):
    """How far a command is. From ``DONE`` on it has ended, and that never changes."""

    WAITING = "waiting"  # its agent is not there, and has never been sent it
    SENT = "sent"
    ACCEPTED = "accepted"  # it is on the agent's disk
    RUNNING = "running"
    UNANSWERED = "unanswered"  # its deadline has passed, and what became of it only the agent can say
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"  # nothing was done
    EXPIRED = "expired"  # nothing was done, and will not be
    UNKNOWN = "unknown"  # it was begun, and nothing can tell any more whether it was done


ENDS = frozenset({Stage.DONE, Stage.FAILED, Stage.REFUSED, Stage.EXPIRED, Stage.UNKNOWN})


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is to do, once. Times are Unix seconds of the manager's clock.

    ``id`` is a UUID of version 7. ``target`` and ``arguments`` are the verb's. Nothing is begun after
    ``deadline``. ``actor`` is who asks. ``traceparent`` (W3C Trace Context) is that of the command.
    """

    id: str
    verb: str
    target: str = ""
    arguments: dict[str, str] = {}
    issued: float
    deadline: float
    actor: str
    dry_run: bool = False
    traceparent: str = ""

    def __post_init__(self) -> None:
        """Refuse what no manager of ours sends."""
        texts = (self.id, self.verb, self.target, self.actor, self.traceparent)
        if not self.id or not self.verb or any(len(each) > MOST_CHARACTERS for each in texts):
            raise ValueError(f"expected id, verb, and texts of at most {MOST_CHARACTERS} characters")
        if len(self.arguments) > MOST_ARGUMENTS:
            raise ValueError(f"expected at most {MOST_ARGUMENTS} arguments")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a command stands: ``accepted``, ``running``, or its end with what came of it."""

    id: str
    stage: Stage
    detail: str = ""
    result: dict[str, Any] = {}


class Received(msgspec.Struct, frozen=True):
    """Ends of commands that are on the manager's disk: the agent need not send them again."""

    ids: list[str]


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """A question for the manager's time; ``asked`` is any number of the agent's, which comes back."""

    asked: float
    now: float = 0.0  # of the manager's clock; 0 in a question


def packed(value: msgspec.Struct) -> bytes:
    """Return what goes into a message."""
    return msgspec.json.encode(value)


def unpacked(kind: type[T], data: bytes) -> T:
    """Return what a message holds; raises MalformedEnvelope."""
    try:
        return from_json(data, kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedEnvelope(f"this is no {kind.__name__.lower()}: {error}") from error
