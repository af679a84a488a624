"""An annotation in Grafana for every action that was done or has failed, from the audit, in order.

How far it has come is a flag of the journal, set after Grafana has answered: a crash in between has the last
one written again, never left out. Without the flag it begins with what is done from now on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from compose_agent.dockerd.verbs.model import Result
from remediation.grafana import Grafana, GrafanaError
from remediation.journal import Entry, Journal
from remediation.narration import sentence
from remediation.traces.mention import html

logger = logging.getLogger(__name__)

POSITION_FLAG = "annotated"
# Entries that are looked at between two notes of the position.
_MOST_ENTRIES = 500
# Of what was refused nothing has happened, so there is nothing to see on a graph.
_TOLD = (Result.DONE, Result.FAILED, Result.UNKNOWN)
# Grafana will never take this one, so the next must not wait for it.
_NEVER = (400, 413, 422)


class Annotations:
    """Follows the audit of a journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def begin(self) -> int:
        """Return the last entry that has been dealt with: if nobody was told yet, that is the newest."""
        known = self._journal.read(lambda view: view.flag(POSITION_FLAG))
        if known is None:
            return self._note(self._journal.read(lambda view: view.last_entry()))
        return int(known)

    def follow(self, grafana: Grafana) -> None:
        """Tell Grafana what it has not been told; raises GrafanaError and StateError."""
        position = self.begin()
        while entries := self._entries(position):
            for entry in entries:
                if entry.kind == "acted" and entry.fields.get("result") in _TOLD:
                    self._tell(grafana, entry)
                    position = self._note(entry.seq)
            if position != entries[-1].seq:
                position = self._note(entries[-1].seq)

    def forget(self) -> None:
        """Begin anew when there is somebody to tell again; raises StateError."""
        if self._journal.read(lambda view: view.flag(POSITION_FLAG)) is not None:
            self._journal.write(lambda tx: tx.set_flag(POSITION_FLAG, None))

    def _entries(self, after: int) -> Sequence[Entry]:
        return self._journal.read(lambda view: view.entries(after, _MOST_ENTRIES))

    def _note(self, position: int) -> int:
        self._journal.write(lambda tx: tx.set_flag(POSITION_FLAG, str(position)))
        return position

    def _tell(self, grafana: Grafana, entry: Entry) -> None:
        try:
            grafana.annotate(
                entry.at,
                sentence(entry) + html(entry.subjects.get("intent", "")),
                self._tags(entry),
                key=f"{entry.subjects.get('intent', '')}.{entry.seq}",
            )
        except GrafanaError as error:
            if error.status not in _NEVER:
                raise
            logger.warning("an annotation was not taken", extra={"entry": entry.seq, "error": str(error)})

    def _tags(self, entry: Entry) -> Sequence[str]:
        intent = self._journal.read(lambda view: view.intent(entry.subjects.get("intent", "")))
        about = {"policy": intent.policy if intent else "", **entry.fields}
        return [f"{key}:{about[key]}" for key in ("policy", "target", "action", "result") if about.get(key)]
