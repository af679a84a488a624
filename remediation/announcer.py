"""Tells others what was done: annotations for Grafana, alerts for what was given up.

Each has a thread of its own that reads the journal, so that nobody who decides or acts waits for them, and
neither waits for the other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from compose_agent.errors import ComposeAgentError
from remediation.annotations import Annotations
from remediation.clients import Clients
from remediation.givenup import GivenUp
from remediation.journal import Journal
from remediation.settings import RemediationSettings

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
# After somebody could not be told.
_PAUSE_SECONDS = 5.0
_STOP_SECONDS = 2.0


class Announcer:
    """See the module; without an address nobody is told."""

    def __init__(self, journal: Journal, clients: Clients, settings: RemediationSettings) -> None:
        self._annotations = Annotations(journal)
        self._given_up = GivenUp(journal)
        self._told = (clients, settings)
        self._stop = threading.Event()
        tasks = {"annotations": self._annotate, "given up": self._alert}
        self._threads = [
            threading.Thread(target=self._run, args=(task,), name=name, daemon=True)
            for name, task in tasks.items()
        ]

    def start(self) -> None:
        """Go on where the last run ended, or begin with what is done from now on; raises StateError."""
        if self._told[0].grafana:
            self._annotations.begin()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tell nobody anything more; the next start goes on."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_STOP_SECONDS)

    def change(self, clients: Clients, settings: RemediationSettings) -> None:
        """Tell others from now on."""
        self._told = (clients, settings)

    def _run(self, task: Callable[[], None]) -> None:
        said, pause = "", _LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                task()
                said, pause = "", _LOOK_SECONDS
                continue
            except ComposeAgentError as error:
                words = str(error)
            except Exception as error:  # the next round must come, whatever this one met
                logger.exception("fault in telling others")
                words = repr(error)
            if words != said and not self._stop.is_set():
                logger.warning("others are not told what was done; trying again", extra={"error": words})
            said, pause = words, _PAUSE_SECONDS

    def _annotate(self) -> None:
        clients, _ = self._told
        if clients.grafana:
            self._annotations.follow(clients.grafana)
        else:
            self._annotations.forget()

    def _alert(self) -> None:
        clients, settings = self._told
        if clients.alertmanager:
            self._given_up.follow(clients.alertmanager, wanted=settings.notify_given_up)
