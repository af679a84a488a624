"""A command as the manager has it."""

from __future__ import annotations

from typing import Any

import msgspec

from fleet.envelopes.command import ENDS, Command, Stage
from fleet.opamp.uid import uid_text


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A command for one node. ``changed`` and ``ended`` are Unix time of the manager's clock, 0 for never.

    ``job`` is the id of the job that it is a part of, empty for none.
    """

    command: Command
    uid: bytes
    node_id: str
    environment: str
    job: str = ""
    stage: Stage = Stage.WAITING
    detail: str = ""
    result: dict[str, Any] = {}
    changed: float = 0.0
    ended: float = 0.0

    @property
    def id(self) -> str:
        """The command's id."""
        return self.command.id

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended."""
        return self.stage in ENDS

    def at(self, stage: Stage, now: float, detail: str = "", result: dict[str, Any] | None = None) -> Issued:
        """Return it at another stage."""
        ended = now if stage in ENDS else 0.0
        return msgspec.structs.replace(
            self, stage=stage, detail=detail, result=result or {}, changed=now, ended=ended
        )

    def row(self, *, whole: bool = False) -> Row:
        """Return it as the API gives it; with what came of it when ``whole``."""
        command = self.command
        return Row(
            id=command.id,
            verb=command.verb,
            target=command.target,
            arguments=command.arguments,
            node_id=self.node_id,
            uid=uid_text(self.uid),
            environment=self.environment,
            job=self.job,
            stage=self.stage,
            detail=self.detail,
            actor=command.actor,
            dry_run=command.dry_run,
            issued=command.issued,
            deadline=command.deadline,
            ended=self.ended,
            traceparent=command.traceparent,
            result=self.result if whole else None,
        )


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A command as the API gives it; times are Unix time, ``ended`` is 0 before its end."""

    id: str
    verb: str
    target: str
    arguments: dict[str, str]
    node_id: str
    uid: str
    environment: str
    job: str
    stage: Stage
    detail: str
    actor: str
    dry_run: bool
    issued: float
    deadline: float
    ended: float
    traceparent: str
    result: dict[str, Any] | None = None
