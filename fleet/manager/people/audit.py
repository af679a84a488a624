"""Who has changed what at the manager, in the chain of hashes that the audit of every role is.

Two entries stand for each request that changes something. ``asked`` is on disk before anything is done, so
that nothing is ever done without it; ``answered`` names it and says what came of it. Handlers add what a
request was about with :func:`tell`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIEnvironment

from compose_agent.audit.chain import Entry, Row, Verdict, entry_of
from compose_agent.audit.table import AUDIT_TABLES, Bounds, append, cut, verified
from compose_agent.errors import StateError
from compose_agent.tracing.context import active_ids
from compose_agent.web.response import Handler, Response
from fleet.database import Database, Tables
from fleet.manager.people.gate import LOGIN, SAFE_METHODS
from fleet.manager.principal import Principal, principal_of
from fleet.manager.store import manager_file

logger = logging.getLogger(__name__)

ASKED, ANSWERED = "asked", "answered"
_TOLD = "compose_agent.audit"
_DAY = 86400.0
_KEPT_SECONDS, _KEPT_ENTRIES = 90 * _DAY, 200_000
# Looking for what is old costs a question; a part has many more entries than that.
_CUT_EVERY = 100
# Somebody who sees little of a large fleet gets what is among so many entries.
_LOOKED_AT = 20_000


class Audit:
    """Writes and reads entries. Every call raises StateError; what is noted is on disk when it returns."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now
        self._noted = 0
        database.add(Tables("audit", [AUDIT_TABLES]))

    def note(self, kind: str, subjects: Mapping[str, str], fields: Mapping[str, Any]) -> int:
        """Append an entry and return its number."""
        now = self._now()

        def work(tx: Any) -> int:
            self._noted += 1
            if self._noted % _CUT_EVERY == 0:
                keep = Bounds(now - _KEPT_SECONDS, _KEPT_ENTRIES)
                cut(tx, now, keep, lambda kind, fields: append(tx, now, kind, {}, fields))
            return append(tx, now, kind, subjects, fields).seq

        return self._database.write(work)

    def entries(self, before: int, most: int, principal: Principal) -> list[Entry]:
        """Return the last entries below a number (0: all) that somebody sees, the newest first."""
        question = (
            "SELECT seq, at, kind, body, hash FROM audit WHERE ? = 0 OR seq < ? ORDER BY seq DESC LIMIT ?"
        )
        values = (before, before, _LOOKED_AT)
        found: list[Entry] = []

        def work(tx: Any) -> None:
            for row in tx.execute(question, values):
                entry = entry_of(Row(*row))
                if is_seen(entry, principal):
                    found.append(entry)
                if len(found) == most:
                    return

        self._database.read(work)
        return found


def verify_audit(state_dir: Path) -> Verdict:
    """Check the chain of a manager that runs or does not, from the file itself; raises StateError."""
    file = manager_file(state_dir)
    database = file.open_read_only()
    try:
        with file.explained():
            return verified(database)
    finally:
        database.close()


def is_seen(entry: Entry, principal: Principal) -> bool:
    """Tell whether an entry exists for somebody: what they did, and what is about theirs alone."""
    if principal.environments is None:
        return True
    if entry.fields.get("actor") == principal.name:
        return True
    concerned = entry.fields.get("environments")
    return isinstance(concerned, list) and bool(concerned) and principal.environments.issuperset(concerned)


def tell(environ: WSGIEnvironment, *environments: str, **subjects: str) -> None:
    """Say what a request is about: the environments that it concerns, and ids by what they are.

    An entry that names no environment is shown only to who sees all of them, and to who has asked.
    """
    told = environ.setdefault(_TOLD, {"environments": set(), "subjects": {}})
    told["environments"].update(environments)
    told["subjects"].update(subjects)


class Auditor:
    """Has every request that changes something in the audit; ``handle`` stands between all and handlers."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        # One thread: nobody waits for the second entry, and entries keep their order.
        self._later = ThreadPoolExecutor(1, "manager-audit")

    def handle(self, handler: Handler, environ: WSGIEnvironment) -> Response:
        """Return the answer of ``handler``, or that nothing was done because it could not be written down."""
        if environ["REQUEST_METHOD"] in SAFE_METHODS or environ["PATH_INFO"] == LOGIN:
            return handler(environ)
        try:
            number = self._audit.note(ASKED, {}, _asked(environ))
        except StateError as error:
            return Response.json(503, {"error": f"nothing was done, it cannot be written down: {error}"})
        answer = handler(environ)
        told = environ.get(_TOLD, {"environments": (), "subjects": {}})
        fields = {
            "of": number,
            "actor": principal_of(environ).name,
            "path": environ["PATH_INFO"],
            "status": answer.status,
            "environments": sorted(told["environments"]) or _own(principal_of(environ)),
        }
        self._later.submit(self._answered, dict(told["subjects"]), fields)
        return answer

    def close(self) -> None:
        """Write what is left."""
        self._later.shutdown()

    def _answered(self, subjects: dict[str, str], fields: dict[str, Any]) -> None:
        try:
            self._audit.note(ANSWERED, subjects, fields)
        except StateError as error:
            logger.error("what came of a request is not in the audit", extra={"error": str(error), **fields})  # noqa: TRY400 - the message says why


def _asked(environ: WSGIEnvironment) -> dict[str, Any]:
    principal, ids = principal_of(environ), active_ids()
    return {
        "actor": principal.name,
        "role": principal.role.name.lower(),
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "address": str(environ.get("REMOTE_ADDR", "")),
        "trace": ids[0] if ids else "",
        "environments": _own(principal),
    }


def _own(principal: Principal) -> list[str]:
    """Return where somebody's requests can reach, nothing for who sees everything."""
    return sorted(principal.environments or ())
