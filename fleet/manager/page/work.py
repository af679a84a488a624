"""The pages of commands and jobs: what was asked for, by whom, and what came of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from compose_agent.dockerd.overview import words
from compose_agent.errors import StateError
from compose_agent.web.response import Response, RouteTable
from fleet.envelopes.command import Stage
from fleet.manager.commands.api import CommandsApi
from fleet.manager.commands.model import Row
from fleet.manager.commands.store import Wanted
from fleet.manager.jobs.api import JobsApi
from fleet.manager.jobs.asked import JobRow, PartRow, details_of, row_of
from fleet.manager.jobs.model import State
from fleet.manager.page.frame import Frame
from fleet.manager.principal import Role, principal_of

COMMANDS, COMMAND, JOBS, JOB = "/commands", "/command", "/jobs", "/job"
_MOST = 200
_LEVELS: Mapping[str, str] = {
    Stage.DONE: "ok",
    Stage.FAILED: "bad",
    Stage.UNKNOWN: "bad",
    Stage.UNANSWERED: "warn",
    Stage.REFUSED: "warn",
    Stage.EXPIRED: "warn",
    State.PARTIAL: "warn",
    State.CANCELLED: "warn",
}
_IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Line:
    """A command, a job or a part of one in a table; ``what`` is its verb, target and arguments."""

    row: Any
    level: str
    what: str
    ago: str = ""
    when: str = ""
    took: str = ""


class WorkPages:
    """Makes the pages of what the two APIs give."""

    def __init__(
        self, frame: Frame, commands: CommandsApi, jobs: JobsApi, now: Callable[[], float] = time.time
    ) -> None:
        self._frame = frame
        self._commands = commands
        self._jobs = jobs
        self._now = now

    def routes(self) -> RouteTable:
        """Return the pages."""
        return {
            COMMANDS: {"GET": self._list_commands},
            COMMAND: {"GET": self._one_command},
            JOBS: {"GET": self._list_jobs},
            JOB: {"GET": self._one_job},
        }

    def _list_commands(self, environ: WSGIEnvironment) -> Response:
        query = _query(environ)
        stage, node, job = query.get("stage", ""), query.get("node", ""), query.get("job", "")
        wanted = Wanted(
            node_id=node,
            job=job,
            stage=stage,
            environments=principal_of(environ).environments,
            limit=_MOST,
        )
        lines, trouble = self._found(lambda: self._commands.latest(wanted))
        return self._page(
            environ,
            "commands",
            COMMANDS,
            lines=[_command(each.row(), self._now()) for each in lines],
            trouble=trouble,
            may=principal_of(environ).may(Role.OPERATOR),
            stages=list(Stage),
            stage=stage,
            node=node,
            job=job,
        )

    def _one_command(self, environ: WSGIEnvironment) -> Response:
        name = _query(environ).get("id", "")
        found, trouble = self._found(lambda: [self._commands.find(name, environ)])
        issued = found[0] if found else None
        if issued is None:
            return self._missing(environ, COMMANDS, "command", name, trouble)
        row = issued.row(whole=True)
        result = dict(row.result or {})
        return self._page(
            environ,
            "command",
            COMMANDS,
            line=_command(row, self._now()),
            log=result.pop("lines", []),
            result=json.dumps(result, indent=2, ensure_ascii=False) if result else "",
            deadline=words.date(row.deadline),
        )

    def _list_jobs(self, environ: WSGIEnvironment) -> Response:
        jobs, trouble = self._found(lambda: self._jobs.latest(environ, _MOST))
        lines = [_job(row_of(each), self._now()) for each in jobs]
        return self._page(environ, "jobs", JOBS, lines=lines, trouble=trouble)

    def _one_job(self, environ: WSGIEnvironment) -> Response:
        name = _query(environ).get("id", "")
        found, trouble = self._found(lambda: [self._jobs.find(environ, name)])
        job = found[0] if found else None
        if job is None:
            return self._missing(environ, JOBS, "job", name, trouble)
        details = details_of(*job)
        return self._page(
            environ,
            "job",
            JOBS,
            line=_job(details, self._now()),
            stages=sorted(details.stages.items()),
            parts=[_part(each) for each in details.parts[:_MOST]],
            total=len(details.parts),
            deadline=words.date(details.deadline),
        )

    def _page(self, environ: WSGIEnvironment, name: str, section: str, **values: Any) -> Response:
        template = f"{name}_live.html" if "fragment" in _query(environ) else f"{name}.html"
        now = words.clock(self._now())
        return self._frame.html(environ, template, section=section, time=now, **values)

    def _missing(
        self, environ: WSGIEnvironment, section: str, kind: str, name: str, trouble: str
    ) -> Response:
        status = 503 if trouble else 404
        return self._frame.html(
            environ,
            "no_work.html",
            status=status,
            section=section,
            kind=kind,
            name=name,
            trouble=trouble,
            back=section.lstrip("/"),
        )

    def _found(self, work: Callable[[], list[Any]]) -> tuple[list[Any], str]:
        """Return what is found, or nothing and why."""
        try:
            return work(), ""
        except StateError as error:
            return [], str(error)


def _command(row: Row, now: float) -> Line:
    return Line(
        row,
        _level(row.stage),
        _what(row.verb, row.target, row.arguments),
        ago=words.duration(max(0.0, now - row.issued)),
        when=words.date(row.issued),
        took=words.duration(row.ended - row.issued) if row.ended else "",
    )


def _job(row: JobRow, now: float) -> Line:
    return Line(
        row,
        _level(row.state),
        _what(row.verb.value, row.target, row.arguments),
        ago=words.duration(max(0.0, now - row.issued)),
        when=words.date(row.issued),
        took=words.duration(row.ended - row.issued) if row.ended else "",
    )


def _part(row: PartRow) -> Line:
    return Line(row, _level(row.stage), _what("", "", row.arguments))


def _level(stage: str) -> str:
    return _LEVELS.get(stage, _IDLE)


def _what(verb: str, target: str, arguments: Mapping[str, str]) -> str:
    return " ".join(each for each in (verb, target, *map("=".join, arguments.items())) if each)


def _query(environ: WSGIEnvironment) -> dict[str, str]:
    query = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True, errors="replace")
    return {key: values[-1] for key, values in query.items()}
