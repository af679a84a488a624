"""Container events of this host as signals: the watch, fed by the inventory."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.stream import Event
from compose_agent.errors import EngineError
from remediation.model import Signal
from remediation.triggers.delivery import Delivery, Receive
from remediation.triggers.memory import Memory, recall, remember
from remediation.triggers.watch import LOOP_LIMITS, ContainerWatch, LoopLimits
from remediation.triggers.watched import WatchState

logger = logging.getLogger(__name__)

MEMORY = "events"
# Kept while signals cannot be written down; what is lost beyond it, the next look finds as far as it can.
MOST_EVENTS = 10_000
# How soon time tells what an event alone does not, and how often the present state is looked at.
TICK_SECONDS = 0.25
LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0


class Containers(Protocol):
    """What is asked of an :class:`~compose_agent.dockerd.inventory.Inventory`."""

    def containers(self) -> tuple[Container, ...]: ...  # noqa: D102
    def wait_complete(self, timeout: float) -> bool: ...  # noqa: D102


class ContainerEvents:
    """One thread that turns what it hears into signals.

    Made before its inventory, which gets ``hear`` as its listener and ``since_ns`` as the time to begin at::

        events = ContainerEvents(receive, memory)
        inventory = Inventory(client, on_event=events.hear, since_ns=events.since_ns)
        events.start(inventory)
    """

    def __init__(
        self,
        receive: Receive,
        memory: Memory,
        *,
        limits: LoopLimits = LOOP_LIMITS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._memory = memory
        self._now = now
        self._delivery = Delivery(receive, now)
        self._watch = ContainerWatch(recall(memory, MEMORY, WatchState), limits)
        self._queue: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._inventory: Containers | None = None
        self._look_due = 0.0
        # Full ids of containers, as far as events have told; each is replaced as a whole.
        self.died = self._watch.died
        self.looping = self._watch.looping
        self._thread = threading.Thread(target=self._work, name="trigger-events", daemon=True)

    @property
    def since_ns(self) -> int | None:
        """Where the Engine's events are to be told from: the last one that was dealt with before."""
        return self._watch.state.last_ns or None

    def hear(self, event: Event) -> None:
        """Take an event; neither waits nor raises."""
        self._queue.append(event)
        self._woken.set()

    def start(self, inventory: Containers) -> None:
        """Begin, with what is now."""
        self._inventory = inventory
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what was not delivered is heard again after the next start."""
        self._stop.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        while not self._stop.is_set():
            self._woken.wait(TICK_SECONDS if self._watch.waiting else LOOK_SECONDS)
            self._woken.clear()
            try:
                self._turn()
            except Exception:  # the thread's outermost loop: without it nothing is told any more
                logger.exception("cannot tell what happens to containers")

    def _turn(self) -> None:
        before = self._watch.state.last_ns
        signals: list[Signal] = []
        while self._queue:
            signals += self._watch.hear(self._queue.popleft())
        signals += self._watch.tick(self._now_ns())
        self.died, self.looping = self._watch.died, self._watch.looping
        if self._delivery.deliver(signals, self._stop) and not self._queue:
            looked = self._look()
            told = self._delivery.deliver(looked, self._stop)
            if told and (signals or looked or self._watch.state.last_ns != before):
                remember(self._memory, MEMORY, self._watch.state)

    def _look(self) -> list[Signal]:
        assert self._inventory is not None  # noqa: S101 - started with it
        if time.monotonic() < self._look_due or not self._complete(self._inventory):
            return []
        self._look_due = time.monotonic() + LOOK_SECONDS
        return self._watch.look(self._inventory.containers(), self._now_ns())

    def _now_ns(self) -> int:
        return int(self._now() * 10**9)

    def _complete(self, inventory: Containers) -> bool:
        try:
            return inventory.wait_complete(0)
        except EngineError:
            return False  # the inventory says why
