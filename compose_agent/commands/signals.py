"""What signals mean to a process of ours: SIGTERM and SIGINT stop it, SIGHUP has it reload."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from compose_agent.errors import ComposeAgentError

logger = logging.getLogger(__name__)

_STOPPING = (signal.SIGTERM, signal.SIGINT)
_PIPE_BYTES = 64


class Signals:
    """Turns signals into events: ``stop``, and ``reload``, which others may set as well.

    A handler that sets an event could wait for a lock that the interrupted code holds. So the interpreter
    writes the signals into a pipe, and a thread reads them there. A second SIGTERM or SIGINT ends the
    process at once.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.reload = threading.Event()
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in _STOPPING:
            signal.signal(number, _second_ends)
        signal.signal(signal.SIGHUP, _noted)
        threading.Thread(target=self._read, args=(reader,), name="signals", daemon=True).start()

    def _read(self, reader: int) -> None:
        while True:
            for number in os.read(reader, _PIPE_BYTES):
                (self.reload if number == signal.SIGHUP else self.stop).set()

    def on_reload(self, reload: Callable[[], object]) -> None:
        """Have ``reload`` called in a thread of its own, one call at a time, for what is asked from now on.

        What was asked before is done first; requests that come while one is done are one.
        """

        def serve() -> None:
            while self.reload.wait():
                self.reload.clear()
                _attempt(reload)

        threading.Thread(target=serve, name="config-reload", daemon=True).start()


def _second_ends(number: int, _: Any) -> None:
    signal.signal(number, signal.SIG_DFL)


def _noted(*_: Any) -> None:
    """Do nothing: with a handler, even an empty one, the interpreter writes the signal into the pipe."""


def _attempt(reload: Callable[[], object]) -> None:
    try:
        reload()
    except ComposeAgentError as error:
        logger.error("configuration refused; the running one stays", extra={"error": str(error)})  # noqa: TRY400
    except Exception:  # outermost loop: the next change of the file must find this thread alive
        logger.exception("reload failed; the running configuration stays")
