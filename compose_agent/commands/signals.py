"""What signals mean to a process of ours: SIGTERM and SIGINT stop it, SIGHUP has it reload."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

from compose_agent.errors import ComposeAgentError

logger = logging.getLogger(__name__)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; a second one ends the process at once."""
    stop = threading.Event()

    def handle(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def reload_on_hangup(reload: Callable[[], object]) -> Callable[[], None]:
    """Have SIGHUP call ``reload`` in a thread; return the function that does so, for a file watch too."""

    def attempt() -> None:
        try:
            reload()
        except ComposeAgentError as error:
            logger.error("configuration refused; the running one stays", extra={"error": str(error)})  # noqa: TRY400

    def handle(*_: Any) -> None:
        threading.Thread(target=attempt, name="config-reload", daemon=True).start()

    signal.signal(signal.SIGHUP, handle)
    return attempt
