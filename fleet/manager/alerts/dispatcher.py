"""Brings alerts to their hosts: in order, until each is answered."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from compose_agent.errors import StateError
from compose_agent.typed import from_msgpack
from fleet.envelopes.alert import ALERT, CAPABILITY, TAKEN, Taken
from fleet.manager.alerts.store import AlertStore, Fate
from fleet.manager.model import Node

logger = logging.getLogger(__name__)

# An alert of this long ago tells nothing of how things are; what still fires is told again.
PATIENCE_SECONDS = 900.0
# Under way to one host at once; the next ones follow as they are answered.
_WINDOW = 32
# A host that is there and does not answer is sent it again; so is one whose remediation is being restarted.
_AGAIN_SECONDS = 20.0
_LOOK_SECONDS = 2.0
_LONGEST_REASON = 500


class Send(Protocol):
    """Sends a custom message to an agent, and tells whether it is under way."""

    def __call__(self, uid: bytes, capability: str, kind: str, data: bytes, /) -> bool: ...  # noqa: D102


@dataclass(slots=True)
class _UnderWay:
    """What one host was sent: ids, in order, and since when the oldest has no answer."""

    ids: list[str] = field(default_factory=list)
    since: float = 0.0


class Dispatcher:
    """The manager's half of the capability: one thread that reads, sends and notes.

    ``ended`` hears what became of alerts, and of how many.
    """

    def __init__(
        self,
        store: AlertStore,
        send: Send,
        ended: Callable[[Fate, int], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._send = send
        self._ended = ended
        self._now = now
        self._work: queue.SimpleQueue[tuple[bytes, Taken | None] | None] = queue.SimpleQueue()
        self._under_way: dict[bytes, _UnderWay] = {}
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._run, name="manager-alerts", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run has not brought."""
        self._thread.start()

    def stop(self) -> None:
        """End; what waits is brought by the next run."""
        self._work.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def bring(self, uid: bytes) -> None:
        """Look at what waits for a host."""
        self._work.put((uid, None))

    def arrived(self, node: Node) -> None:
        """Send what waits over the new connection, also what was under way over the one before."""
        self._work.put((node.uid, Taken("", again=True)))

    def take(self, node: Node, kind: str, data: bytes) -> None:
        """Take an answer."""
        if kind != TAKEN:
            return
        try:
            self._work.put((node.uid, from_msgpack(data, Taken)))
        except msgspec.MsgspecError:
            logger.debug("an answer to an alert cannot be read", extra={"node_id": node.node_id})

    def _run(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                work = (b"", None)
            if work is None:
                return
            try:
                self._do(*work)
                self._look()
            except StateError as error:  # the writer of the nodes says so; everything waits on disk
                logger.debug("alerts wait for the disk", extra={"error": str(error)})
            except Exception:  # the next alert must come
                logger.exception("an alert could not be brought")

    def _do(self, uid: bytes, taken: Taken | None) -> None:
        if taken is not None:
            self._answered(uid, taken)
        if uid:
            self._send_on(uid)

    def _answered(self, uid: bytes, taken: Taken) -> None:
        if taken.id and not (taken.error and taken.again):
            fate = Fate.REJECTED if taken.error else Fate.DELIVERED
            if self._store.end(taken.id, uid, fate, taken.error[:_LONGEST_REASON], self._now()):
                self._ended(fate, 1)
        under_way = self._under_way.get(uid)
        if under_way is None:
            return
        if not taken.id:
            del self._under_way[uid]  # a new connection
        elif taken.error and taken.again:
            under_way.since = self._now()  # all of it once more, after a while
        elif taken.id in under_way.ids:
            under_way.ids.remove(taken.id)
            under_way.since = self._now()

    def _send_on(self, uid: bytes) -> None:
        under_way = self._under_way.setdefault(uid, _UnderWay())
        for alert in self._store.waiting(uid, _WINDOW):
            if alert.id in under_way.ids:
                continue
            if not self._send(uid, CAPABILITY, ALERT, msgspec.msgpack.encode(alert)):
                break
            under_way.since = under_way.since if under_way.ids else self._now()
            under_way.ids.append(alert.id)
        if not under_way.ids:
            del self._under_way[uid]

    def _look(self) -> None:
        """Give up what is too old, and send anew what has no answer."""
        now = self._now()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        reason = f"its host was not there for {PATIENCE_SECONDS:g} s"
        if gone := self._store.expire(now - PATIENCE_SECONDS, reason, now):
            self._ended(Fate.EXPIRED, gone)
        for uid in [uid for uid, each in self._under_way.items() if now - each.since > _AGAIN_SECONDS]:
            del self._under_way[uid]
        for uid in self._store.hosts():
            if uid not in self._under_way:
                self._send_on(uid)
