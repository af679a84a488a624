"""From spans that are over into the spool, in the threads that end them."""

from __future__ import annotations

import logging
import threading

from compose_agent.tracing.live import LiveSpan
from compose_agent.tracing.records import Span
from compose_agent.tracing.spool import Spool

logger = logging.getLogger(__name__)

# Of a span that has ever more below it and nobody outside is told of.
_MOST_HELD = 100


class SpoolRecorder:
    """Appends spans in groups: what has come together since the last one, in one write.

    A group is written when the outermost span of this process is over, and before anybody outside hears of a
    span that is under way. So whatever is in the spool has its parents there too, and a kill takes no span
    that somebody knows of: the next start ends those that it has cut off.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._untold: dict[int, LiveSpan] = {}
        self._over: list[Span] = []

    def began(self, span: LiveSpan) -> None:
        """Remember that a span is under way."""
        with self._lock:
            self._untold[span.key] = span

    def over(self, span: LiveSpan) -> None:
        """Have a span in the spool, at once unless what it stands in goes on."""
        with self._lock:
            self._untold.pop(span.key, None)
            self._over.append(span.record())
            if span.stands_alone or len(self._over) >= _MOST_HELD:
                self._append()

    def keep(self) -> None:
        """Have everything in the spool, also what is under way: somebody outside is to hear of it."""
        with self._lock:
            if self._untold or self._over:
                self._append()

    def abandon(self) -> None:
        """Forget what is under way, in a process that was forked: it is the other one's."""
        self._lock = threading.Lock()
        self._untold, self._over = {}, []

    def _append(self) -> None:
        # With the lock held: who is told here to be under way must not be over in the spool before that.
        over, self._over = self._over, []
        begun, self._untold = self._untold, {}
        try:
            self._spool.append(over, [each.record() for each in begun.values()])
        except Exception:  # whoever does something is not to fail because it cannot be traced
            logger.exception("fault in keeping spans")
            self._spool.lose(len(over))
