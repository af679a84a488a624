"""Follows the audit and gives its spans to the pipeline, each exactly once.

How far it has read is appended to the spool together with the spans, as one: after a crash at any moment it
goes on behind the last entry whose spans are there. While the spool cannot be written it waits; the audit is
on disk.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from compose_agent.errors import ComposeAgentError
from compose_agent.tracing import attributes as names
from compose_agent.tracing.records import Span
from remediation.journal import Entry, Journal, View
from remediation.model import Intent
from remediation.traces.seen import Seen
from remediation.traces.story import ENDING, Story, begins, ends_something, spans

logger = logging.getLogger(__name__)

MARK = "audit"
# Traces are looked at by people; entries that come together become spans together, and each look costs the
# pages of the journal that were written since the last one.
_LOOK_SECONDS = 2.0
_STOP_SECONDS = 2.0
_NOTHING = -1
# Their spans fit into one frame of the spool many times.
_MOST_ENTRIES = 100
# Of one intent: it waits for many reasons, one after the other, at most.
_MOST_OF_INTENT = 100


class Taker(Protocol):
    """Takes spans, as the pipeline does."""

    def append(self, spans: Sequence[Span], marks: Mapping[str, int] | None = None) -> bool:
        """Take spans and marks as one; False when they cannot be taken now."""

    def mark(self, name: str) -> int | None:
        """Return the mark that was taken last."""


class Follower:
    """A thread; ``about`` gives the attributes of an intent's target."""

    def __init__(self, journal: Journal, about: Callable[[Intent], Mapping[str, Any]], seen: Seen) -> None:
        self._journal = journal
        self._about = about
        self._seen = seen
        self._stop = threading.Event()
        self._taker: Taker | None = None
        self._read_upto = _NOTHING  # how often the journal was written when it was last read
        self._thread = threading.Thread(target=self._run, name="audit to traces", daemon=True)

    def start(self, taker: Taker | None) -> None:
        """Go on where the last run ended, or begin with what is done from now on; None: nobody traces."""
        self._taker = taker
        if taker is None:
            return
        if taker.mark(MARK) is None:
            taker.append([], {MARK: self._journal.read(lambda view: view.last_entry())})
        self._thread.start()

    def stop(self) -> None:
        """Give what is there, and end."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self._follow()
        self._follow()

    def _follow(self) -> None:
        commits = self._journal.commits
        if commits == self._read_upto:
            return  # nothing was written since
        self._read_upto = commits
        try:
            while self.step():
                pass
        except ComposeAgentError as error:
            self._read_upto = _NOTHING
            logger.debug("the audit cannot be read", extra={"error": str(error)})
        except Exception:  # the next round must come, whatever this one met
            self._read_upto = _NOTHING
            logger.exception("fault in tracing what was done")

    def step(self) -> bool:
        """Give the spans of some entries; return whether there may be more. Raises StateError."""
        taker = self._taker
        if taker is None or (read := taker.mark(MARK)) is None:
            return False
        found, upto, more = self._journal.read(lambda view: self._found(view, read))
        if not found and upto - read < _MOST_ENTRIES:
            return False  # a mark alone is written now and then only
        if not taker.append(found, {MARK: upto}):
            self._read_upto = _NOTHING
            return False
        for each in found:
            if not each.parent:
                self._seen.forget(str(each.attributes[names.INTENT]))
        return more

    def _found(self, view: View, read: int) -> tuple[list[Span], int, bool]:
        """Return the spans that end behind a number, up to where that was read, and whether there is more."""
        entries = view.entries_of(ENDING, read, _MOST_ENTRIES)
        found: list[Span] = []
        for each in entries:
            if ends_something(each) and (intent := view.intent(each.subjects.get("intent", ""))):
                found += spans(each, self._story(view, each, intent))
        more = len(entries) == _MOST_ENTRIES
        return found, entries[-1].seq if more else view.last_entry(), more

    def _story(self, view: View, entry: Entry, intent: Intent) -> Story:
        """Return what is needed for an entry, and nothing else: each part is a question to the journal."""
        decided = entry.kind == "decided"
        story = Story(
            intent=intent,
            entries=view.entries_about({intent.id}, _MOST_OF_INTENT) if decided else (),
            committed_at=self._seen.committed_at(intent.id),
            probes=self._seen.probes(intent.id),
            about=self._about(intent),
        )
        return story if begins(entry) else replace(story, **_around(view, intent))


def _around(view: View, intent: Intent) -> dict[str, Any]:
    """Return an intent's episode, and the actions before and after it."""
    episode = view.episode(intent.episode)
    own = view.intents_of(intent.episode)  # newest first
    place = next((number for number, each in enumerate(own) if each.id == intent.id), 0)
    after = own[place - 1] if place else None
    earlier = own[place + 1 : place + 2]
    if not earlier and episode and (before := view.episode_before(episode)):
        earlier = view.intents_of(before.id)[:1]
    return {
        "episode": episode,
        "earlier": earlier[0].id if earlier else "",
        "following": after.id if after and after.rung == intent.rung + 1 else "",
    }
