"""Jobs over the API, as types: what is asked for, and how jobs stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fleet.envelopes.command import Stage
from fleet.envelopes.verbs import Verb
from fleet.manager.commands.asked import Arguments, Order, Text
from fleet.manager.jobs.model import Attempt, Job, Part, Spread, State

MOST_PARTS = 10_000
DEFAULT_PARALLELISM = 10
DEFAULT_WITHIN = 3600.0
_LONGEST_WITHIN = 7 * 86_400.0


class AskedJob(Order, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order for nodes by their ids or uids, for those that a selector means, or for both.

    With ``spread`` ``each`` every node has a part of its own. With ``any`` the job has the ``parts`` that are
    given, the arguments of each laid over the order's, and each goes to one node that has room: none has more
    parts at a time than its capacity. A part that fails there, or is refused or too late, is tried on so many
    other nodes as ``retries`` says. ``parallelism`` parts are out at the same time. Each command has so many
    ``seconds``, and nothing is begun when the job is older than ``within``.
    """

    nodes: Annotated[list[Text], Meta(max_length=MOST_PARTS)] = msgspec.field(default_factory=list)
    selector: Text = ""
    spread: Spread = Spread.EACH
    parts: Annotated[list[Arguments], Meta(max_length=MOST_PARTS)] = msgspec.field(default_factory=list)
    parallelism: Annotated[int, Meta(ge=1, le=MOST_PARTS)] = DEFAULT_PARALLELISM
    retries: Annotated[int, Meta(ge=0, le=100)] = 0
    within: Annotated[float, Meta(ge=1.0, le=_LONGEST_WITHIN)] = DEFAULT_WITHIN

    def __post_init__(self) -> None:
        """Refuse what is for nobody, and what does not fit together."""
        if not (self.nodes or self.selector):
            raise ValueError("expected nodes, or a selector")
        if self.spread is Spread.EACH and (self.parts or self.retries):
            raise ValueError("parts and retries are for work that any node can do: expected spread any")
        if self.spread is Spread.ANY and not self.parts:
            raise ValueError("with spread any: expected parts, a list of arguments")

    @property
    def order(self) -> Order:
        """What each command asks for."""
        return Order(
            verb=self.verb,
            target=self.target,
            arguments=self.arguments,
            seconds=self.seconds,
            dry_run=self.dry_run,
        )


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the API lists it; times are Unix time, ``ended`` is 0 before its end."""

    id: str
    state: State
    verb: Verb
    target: str
    arguments: dict[str, str]
    spread: Spread
    selector: str
    nodes: list[str]
    parallelism: int
    retries: int
    dry_run: bool
    actor: str
    issued: float
    deadline: float
    ended: float
    cancelled_by: str
    traceparent: str


class PartRow(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a job; ``result`` is left out where it is large, and stands with the command then."""

    number: int
    node_id: str
    arguments: dict[str, str]
    stage: Stage
    detail: str
    command: str
    result: dict[str, Any]
    attempts: list[AttemptRow]


class AttemptRow(msgspec.Struct, frozen=True):
    """One command that a part was given out as."""

    command: str
    node_id: str
    stage: Stage
    detail: str


class JobDetails(JobRow, frozen=True, kw_only=True):
    """A job with its parts, and how many of them are at each stage."""

    stages: Mapping[str, int]
    parts: Sequence[PartRow]


class Jobs(msgspec.Struct, frozen=True):
    """Jobs, the newest first."""

    jobs: Sequence[JobRow]


def row_of(job: Job) -> JobRow:
    """Return a job as it is listed."""
    return JobRow(**_fields(job))


def details_of(job: Job, parts: Sequence[Part]) -> JobDetails:
    """Return everything of a job."""
    stages = Counter(part.stage.value for part in parts)
    return JobDetails(**_fields(job), stages=dict(stages), parts=[_part(part) for part in parts])


def _fields(job: Job) -> dict[str, Any]:
    order = job.order
    own = ("id", "state", "spread", "selector", "nodes", "parallelism", "retries", "actor", "issued")
    more = ("deadline", "ended", "cancelled_by", "traceparent")
    return {
        **{name: getattr(job, name) for name in (*own, *more)},
        **{name: getattr(order, name) for name in ("verb", "target", "arguments", "dry_run")},
    }


def _part(part: Part) -> PartRow:
    return PartRow(
        number=part.number,
        node_id=part.node_id,
        arguments=part.arguments,
        stage=part.stage,
        detail=part.detail,
        command=part.attempts[-1].command if part.attempts else "",
        result=part.result,
        attempts=[_attempt(each) for each in part.attempts],
    )


def _attempt(attempt: Attempt) -> AttemptRow:
    return AttemptRow(attempt.command, attempt.node_id, attempt.stage, attempt.detail)
