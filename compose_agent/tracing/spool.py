"""Spans on disk, from the moment they are over until the collector has them, and a while longer for people.

Appending is one ``write`` of everything that has come together, without fsync: a process that is killed loses
nothing of it. ``sync`` has it on the disk too and is called every few seconds, so that a power failure takes
those seconds.

What goes beyond the limits leaves oldest first, in whole segments, and is counted. A folder that cannot be
written costs the spans of that time, which are counted too, and nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compose_agent.tracing.chain import TooLarge
from compose_agent.tracing.holding import FULL, ROTATED, Batch, Holding, Limits
from compose_agent.tracing.ledger import Account
from compose_agent.tracing.records import Group, Span

logger = logging.getLogger(__name__)

# What became of spans that never were in the spool; see registry.DROPPED.
UNWRITABLE, TOO_LARGE, INVALID = "unwritable", "too_large", "invalid"

# A folder that could not be written is tried again after this long.
_RETRY_SECONDS = 5.0


class Spool:
    """The spool in one folder, for one process. Thread-safe. ``exporting``: whether there is a collector.

    ``error`` says why nothing can be written, empty when all is well.
    """

    def __init__(
        self, folder: Path, resource: Mapping[str, Any], limits: Limits | None = None, *, exporting: bool
    ) -> None:
        self._folder = folder
        self._resource = resource
        self._limits = limits or Limits()
        self._evicted = FULL if exporting else ROTATED
        self._lock = threading.Lock()
        self._held: Holding | None = None
        self._unwritten: Counter[str] = Counter()
        self._retry_at = 0.0
        self._closed = False
        self.error = ""
        with self._lock:
            self._usable()

    def append(
        self,
        spans: Sequence[Span],
        begun: Sequence[Span] = (),
        marks: Mapping[str, int] | None = None,
        *,
        again: bool = False,
    ) -> bool:
        """Have spans in the spool when this returns; False if they cannot be written.

        They are dropped then, and counted, unless the caller will come ``again`` with them. What has no form
        in which it could ever be written is dropped in any case, and only its marks are kept.
        """
        with self._lock:
            reason = self._appended(Group(list(begun), list(spans), dict(marks or {})))
            if reason == UNWRITABLE:
                self._unwritten[reason] += 0 if again else len(spans)
                return False
            if reason:
                self._unwritten[reason] += len(spans)
                self._appended(Group(marks=dict(marks or {})))
            return True

    def lose(self, number: int) -> None:
        """Count spans that had no form to be written in."""
        with self._lock:
            self._unwritten[INVALID] += number

    def mark(self, name: str) -> int | None:
        """Return the mark of this name that was appended last."""
        with self._lock:
            return self._held.mark(name) if self._held else None

    def batch(self, most: int) -> Batch | None:
        """Return about ``most`` spans that come next, None if there are none. For one thread."""
        with self._lock:
            reading = self._held.reading() if self._held else None
        return reading.batch(most) if reading else None

    def settle(self, batch: Batch, rejected: Mapping[str, int] | None = None) -> None:
        """Count a batch as exported, but for what was ``rejected``, by reason."""
        with self._lock:
            if self._held:
                try:
                    self._held.settle(batch, rejected or {})
                except OSError as error:
                    self._failed(error)

    def sync(self) -> None:
        """Have on the disk what was appended, and the counts."""
        with self._lock:
            if self._usable() and self._held:
                try:
                    self._count_unwritten(self._held)
                    self._held.sync()
                except OSError as error:
                    self._failed(error)

    def account(self) -> Account:
        """Return what became of all spans."""
        with self._lock:
            if self._held is None:
                return Account(created=self._unwritten.total(), dropped=dict(self._unwritten))
            self._count_unwritten(self._held)
            return self._held.account()

    def close(self) -> None:
        """Write everything down and let go of the folder."""
        self.sync()
        with self._lock:
            self._let_go()

    def abandon(self) -> None:
        """Leave the folder to the process that this one was forked from."""
        self._lock = threading.Lock()
        self._let_go()  # or the folder's lock would outlive that process with this one

    def _let_go(self) -> None:
        held, self._held, self._closed = self._held, None, True
        if held:
            held.close()

    def _appended(self, group: Group) -> str:
        """Append a group and return why it could not be, empty if it was."""
        if not self._usable() or self._held is None:
            return UNWRITABLE
        try:
            self._held.append(group)
        except OSError as error:
            self._failed(error)
            return UNWRITABLE
        except TooLarge:
            return TOO_LARGE
        except (TypeError, ValueError, OverflowError):
            return INVALID
        return ""

    def _usable(self) -> bool:
        if self._closed:
            return False
        if not self.error and self._held:
            return True
        if time.monotonic() < self._retry_at:
            return False
        try:
            self._held = self._held or Holding(self._folder, self._resource, self._limits, self._evicted)
        except OSError as error:
            self._failed(error)
            return False
        if self.error:
            logger.info("spans are kept again", extra={"folder": str(self._folder)})
        self.error = ""
        return True

    def _failed(self, error: OSError) -> None:
        words = f"spans cannot be kept in {self._folder}: {error.strerror or error}"
        if words != self.error:
            logger.warning("spans are dropped and counted", extra={"error": words})
        self.error = words
        self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _count_unwritten(self, held: Holding) -> None:
        for reason, number in self._unwritten.items():
            held.count_unwritten(reason, number)
        self._unwritten.clear()
