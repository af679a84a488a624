"""From the SDK into the spool, in the thread that ends a span."""

from __future__ import annotations

import logging
import threading

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from compose_agent.tracing.records import begun_of, span_of
from compose_agent.tracing.spool import Spool

logger = logging.getLogger(__name__)


class SpoolProcessor(SpanProcessor):
    """Appends each span when it is over, and before that the ones that it stands in.

    So whatever is in the spool has its parents there too: the next start ends those that a kill has cut off.
    A span that begins and ends before any other does costs one write.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._untold: dict[int, Span] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember that a span is under way."""
        with self._lock:
            self._untold[span.context.span_id] = span

    def on_end(self, span: ReadableSpan) -> None:
        """Have a span in the spool."""
        if not span.context.trace_flags.sampled:
            return
        self._append([span])

    def keep(self) -> None:
        """Have in the spool which spans are under way: somebody outside is to hear of them."""
        if self._untold:
            self._append([])

    def abandon(self) -> None:
        """Forget what is under way, in a process that was forked: it is the other one's."""
        self._lock = threading.Lock()
        self._untold = {}

    def _append(self, over: list[ReadableSpan]) -> None:
        # Held to the end: who is told here to be under way must not be over in the spool before that.
        with self._lock:
            for each in over:
                self._untold.pop(each.context.span_id, None)
            begun, self._untold = list(self._untold.values()), {}
            try:
                self._spool.append([span_of(each) for each in over], [begun_of(each) for each in begun])
            except Exception:  # whoever does something is not to fail because it cannot be traced
                logger.exception("fault in keeping spans")
                self._spool.lose(len(over))
