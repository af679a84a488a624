"""The agent's half of the capability of commands: between the link and the keeper."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from compose_agent.errors import StateError
from fleet.agent.commands.clock import ManagerClock
from fleet.agent.commands.keeper import Keeper
from fleet.envelopes.command import (
    CAPABILITY,
    CLOCK,
    COMMAND,
    RECEIVED,
    REPORT,
    Clock,
    Command,
    MalformedEnvelope,
    Received,
    Report,
    packed,
    unpacked,
)

logger = logging.getLogger(__name__)

Send = Callable[[str, str, bytes], bool]

# Commands that wait for the manager's time, which it tells within a round trip.
_MOST_WAITING = 10_000


class Handler:
    """See :class:`fleet.agent.custom.Handler`. ``send`` is that of the link; one thread does all the work."""

    def __init__(self, send: Send, clock: ManagerClock) -> None:
        self._send = send
        self._clock = clock
        self._keeper: Keeper | None = None
        self._news: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._waiting: dict[str, Command] = {}
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self, keeper: Keeper) -> None:
        """Take what comes, for a keeper."""
        self._keeper = keeper
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more."""
        self._news.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def connected(self) -> None:
        """Hear of a new connection: the manager may be another one, with another clock."""
        self._news.put(("", b""))

    def take(self, kind: str, data: bytes) -> None:
        """Take a message of the manager."""
        self._news.put((kind, data))

    def report(self, report: Report) -> None:
        """Tell the manager how a command stands; without a link it is told again when there is one."""
        self._send(CAPABILITY, REPORT, packed(report))

    def _run(self) -> None:
        while (first := self._news.get()) is not None:
            try:
                self._handle(*first)
            except MalformedEnvelope as error:
                logger.warning("the manager sends what is no command", extra={"error": str(error)})
            except StateError as error:
                logger.warning("commands do not go on", extra={"error": str(error)})
            except Exception:  # the next message must be taken, whatever this one was
                logger.exception("fault in taking a command")

    def _handle(self, kind: str, data: bytes) -> None:
        assert self._keeper is not None  # noqa: S101 - the thread was not started otherwise
        match kind:
            case "":
                self._clock.forget()
                self._ask_time()
                self._keeper.tell_again()
            case str() if kind == COMMAND:
                self._wait_for_time(unpacked(Command, data))
            case str() if kind == CLOCK:
                answer = unpacked(Clock, data)
                self._clock.answered(answer.asked, answer.now)
            case str() if kind == RECEIVED:
                self._keeper.confirm(unpacked(Received, data).ids)
            case _:
                logger.debug("a message of another version", extra={"type": kind})
        if self._waiting and self._clock.is_fresh:
            commands, self._waiting = list(self._waiting.values()), {}
            self._keeper.take(commands)

    def _wait_for_time(self, command: Command) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting[command.id] = command
        if not self._clock.is_fresh:
            self._ask_time()

    def _ask_time(self) -> None:
        self._send(CAPABILITY, CLOCK, packed(Clock(asked=self._clock.question())))
