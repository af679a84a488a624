"""The pipeline of one process: SDK, spool and exporter under the spans that its roles create.

::

    pipeline = start("remediation", settings, state_dir)   # None when this role does not trace
    ...
    pipeline.stop(5.0)

Only here and below is the SDK imported, so that a role that does not trace does not carry it. There is one
pipeline in a process, as there is one tracer provider; a process that was forked from this one has none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compose_agent.tracing import context
from compose_agent.tracing.ledger import Account
from compose_agent.tracing.records import Span
from compose_agent.tracing.settings import TRACE_ID, TracingSettings, collector, wanted

if TYPE_CHECKING:
    from compose_agent.tracing.exporter import Exporter
    from compose_agent.tracing.recorder import SpoolRecorder
    from compose_agent.tracing.spool import Spool

# Below the state directory; in it a folder for each process that traces.
FOLDER = "traces"


class Pipeline:
    """What takes the spans of a process. Thread-safe. ``off`` ends the recording of new ones.

    ``backend`` is the setting of that name.
    """

    def __init__(
        self,
        spool: Spool,
        recorder: SpoolRecorder,
        exporter: Exporter,
        off: Callable[[], None],
        backend: str | None = None,
    ) -> None:
        self._backend = backend
        self._off = off
        self._spool = spool
        self._recorder = recorder
        self._exporter = exporter

    def append(self, spans: Sequence[Span], marks: Mapping[str, int] | None = None) -> bool:
        """Take spans that were made of what is on disk, with marks, as one; False: come again with them."""
        return self._spool.append(spans, marks=marks, again=True)

    def mark(self, name: str) -> int | None:
        """Return the mark of this name that was appended last, through restarts, None if there is none."""
        return self._spool.mark(name)

    def link(self, trace_id: str) -> str:
        """Return where people see a trace, empty if nobody has said."""
        return self._backend.replace(TRACE_ID, trace_id) if self._backend else ""

    def account(self) -> Account:
        """Return what became of all spans."""
        return self._spool.account()

    def stop(self, seconds: float) -> None:
        """Export what can be exported within ``seconds``, and leave the rest to the next start."""
        self._off()
        context.on_leave(None)
        self._recorder.keep()
        self._exporter.stop(seconds)
        self._spool.close()
        if _running and _running[-1] is self:
            _running.pop()

    def abandon(self) -> None:
        """Let go of everything without touching it: this process was forked from the one that has it."""
        self._off()
        context.on_leave(None)
        self._recorder.abandon()
        self._spool.abandon()


_running: list[Pipeline] = []


def current() -> Pipeline | None:
    """Return the pipeline of this process, None when it does not trace."""
    return _running[-1] if _running else None


def start(
    process: str, settings: TracingSettings, state_dir: Path, environ: Mapping[str, str] = os.environ
) -> Pipeline | None:
    """Begin to trace, unless settings or environment say that this process does not."""
    if not wanted(settings, environ, process):
        return None
    from compose_agent.tracing.assembly import assembled  # noqa: PLC0415 - brings the SDK in

    pipeline = assembled(
        process, settings, state_dir / FOLDER / process, collector(settings, environ), environ
    )
    _running.append(pipeline)
    return pipeline


def _after_fork() -> None:
    while _running:
        _running.pop().abandon()


os.register_at_fork(after_in_child=_after_fork)
