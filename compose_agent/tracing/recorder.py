"""From spans that are over into the spool, in the thread that ends them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from compose_agent.tracing.live import LiveSpan
from compose_agent.tracing.spool import Spool

logger = logging.getLogger(__name__)


class SpoolRecorder:
    """Appends each span when it is over, and before that the ones that it stands in.

    So whatever is in the spool has its parents there too: the next start ends those that a kill has cut off.
    A span that begins and ends before any other does costs one write.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._untold: dict[int, LiveSpan] = {}

    def began(self, span: LiveSpan) -> None:
        """Remember that a span is under way."""
        with self._lock:
            self._untold[span.key] = span

    def over(self, span: LiveSpan) -> None:
        """Have a span in the spool."""
        self._append((span,))

    def keep(self) -> None:
        """Have in the spool which spans are under way: somebody outside is to hear of them."""
        if self._untold:
            self._append(())

    def abandon(self) -> None:
        """Forget what is under way, in a process that was forked: it is the other one's."""
        self._lock = threading.Lock()
        self._untold = {}

    def _append(self, over: Sequence[LiveSpan]) -> None:
        # Held to the end: who is told here to be under way must not be over in the spool before that.
        with self._lock:
            for each in over:
                self._untold.pop(each.key, None)
            begun, self._untold = self._untold, {}
            try:
                self._spool.append(
                    [each.record() for each in over], [each.record() for each in begun.values()]
                )
            except Exception:  # whoever does something is not to fail because it cannot be traced
                logger.exception("fault in keeping spans")
                self._spool.lose(len(over))
