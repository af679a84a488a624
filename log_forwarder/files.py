"""Docker's log files of all containers: found, watched, and let go when every sink has them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_agent.dockerd.model import Container
from compose_agent.errors import StateError
from log_forwarder.followed import FollowedLog, format_of, has_files
from log_forwarder.keeper import Keeper
from log_forwarder.lane import Lane
from log_forwarder.rescue import Rescuer
from log_forwarder.spool import Spool
from log_forwarder.store import Store

logger = logging.getLogger(__name__)

# How late a line may be noticed. Looking is a stat for each container.
LOOK_SECONDS = 0.2
# The same for containers that have long been silent, and how often files are asked for by name; inotify tells
# of new files at once.
_THOROUGH_SECONDS = 1.0
# How often files that every sink has are closed.
_TIDY_SECONDS = 1.0
# Positions of containers that went while nobody watched. Not at once: folders may be mounted late.
_FORGET_SECONDS = 7 * 86400.0


@dataclass(eq=False, slots=True)
class _Newcomer:
    """A container that is to be followed: its log as soon as it is opened, and why it is not followed yet."""

    container: Container
    folder: Path
    log: FollowedLog | None = None
    error: str = ""


class LogFiles:
    """Knows the log of each container, and tells every lane of it; thread-safe.

    The containers come from a folder watch (it is its listener); ``reason_against`` tells which are not read,
    ``mine`` by id which are another process's.
    """

    def __init__(
        self,
        store: Store,
        keeper: Keeper,
        spool: Spool,
        reason_against: Callable[[Container], str | None],
        begin: Callable[[Container], bool],
        *,
        without_files: Callable[[Container], None] = lambda _container: None,
        mine: Callable[[str], bool] = lambda _container_id: True,
    ) -> None:
        self._without_files = without_files
        self._mine = mine
        self._left_out: dict[str, tuple[Container, Path]] = {}
        self._postponed: dict[str, _Newcomer] = {}
        self._fileless: set[str] = set()  # of which it was said that no file has their log
        self._store = store
        self._keeper = keeper
        self._spool = spool
        self._reason_against = reason_against
        self._from_now = begin
        self._logs: dict[str, FollowedLog] = {}
        self._lanes: tuple[Lane, ...] = ()
        # Held by whoever changes which logs there are: the watch, the look thread, and a reload.
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="look at files", daemon=True)
        self._stirred = threading.Event()
        self._rescuer = Rescuer(spool, lambda: list(self._logs.values()))
        self._thorough_at = 0.0
        self._tidied = 0.0
        spool.load()

    def start(self) -> None:
        """Begin to look for news, once the containers that are there have been reported."""
        with self._lock:
            self._restore_removed()
            self._forget_older()
        self._thread.start()
        self._rescuer.start()

    def stop(self) -> None:
        """Look no more; what Docker removes and a sink has not is copied once more."""
        self._stop.set()
        self._stirred.set()
        self._thread.join()
        self._rescuer.stop()

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            opened = [each.log for each in self._postponed.values() if each.log]
            for log in (*self._logs.values(), *opened):
                log.chain.close()

    def set_lanes(self, lanes: Sequence[Lane]) -> None:
        """Serve these lanes; those that are new hear of every container."""
        with self._lock:
            fresh = [lane for lane in lanes if lane not in self._lanes]
            self._lanes = tuple(lanes)
            for log in self._logs.values():
                log.lanes = self._lanes
                for lane in fresh:
                    lane.add(log.arrival())

    def appeared(self, container: Container, folder: Path) -> None:
        """Take a container, and open what it has written."""
        if not self._mine(container.id):
            return
        with self._lock:
            if reason := self._reason_against(container):
                logger.debug("not shipped", extra={"container": container.name, "reason": reason})
                self._left_out[container.id] = (container, folder)
                return
            self._left_out.pop(container.id, None)
            if container.id in self._logs or container.id in self._postponed:
                return
            if has_files(container):
                self._admit(_Newcomer(container, folder))
                return
            self._left_out[container.id] = (container, folder)
            if container.id not in self._fileless:
                self._fileless.add(container.id)
                self._without_files(container)

    def _admit(self, newcomer: _Newcomer) -> None:
        """Follow a container; what the state cannot take now is held open, and tried again."""
        container = newcomer.container
        try:
            log = newcomer.log = newcomer.log or self._made(container, newcomer.folder)
            log.look()
            log.adopt(self._spool)
        except StateError as error:
            if not newcomer.error:
                logger.error(str(error))  # noqa: TRY400 - the sentence says it all
            newcomer.error = str(error)
            self._postponed[container.id] = newcomer
        else:
            self._take(log)

    def changed(self, container: Container) -> None:
        """Take what is new about a container; its labels, driver or addresses may be known only now."""
        with self._lock:
            if container.id in self._left_out:
                self.appeared(container, self._left_out[container.id][1])
            elif newcomer := self._postponed.get(container.id):
                self._changed_newcomer(container, newcomer)
            elif log := self._logs.get(container.id):
                self._changed(container, log)

    def _changed(self, container: Container, log: FollowedLog) -> None:
        if self._reason_against(container):
            self._leave_out(container, log)
        elif has_files(container) and format_of(container) is not log.format:
            # Only now it is known which of them it is.
            self._drop(container.id, forget=False)
            self.appeared(container, log.folder)
        else:
            log.container = container
            for lane in self._lanes:
                lane.update(container)

    def _changed_newcomer(self, container: Container, newcomer: _Newcomer) -> None:
        """Keep open what is opened: the container may be gone, and this all that is left of its log."""
        log = newcomer.log
        other_format = log and has_files(container) and format_of(container) is not log.format
        if not other_format and not self._reason_against(container):
            newcomer.container = container
            if log:
                log.container = container
            return
        self._postponed.pop(container.id)
        if log:
            log.chain.close()
        if log and log.chain.removed:
            self._forget(container.id)
        else:
            self.appeared(container, newcomer.folder)

    def file_created(self, container_id: str, name: str) -> None:
        """Open a new log file at once: it may be gone soon."""
        with self._lock:
            if (log := self._logs.get(container_id)) and name == log.chain.path.name:
                log.chain.created()
                self._rescuer.stir()
                if log.look():
                    self._tell([container_id])

    def vanished(self, container_id: str) -> None:
        """Read what a removed container has left, from the descriptors that are open."""
        with self._lock:
            newcomer = self._postponed.get(container_id)
            log = self._logs.get(container_id) or (newcomer.log if newcomer else None)
            folder = log.folder if log else self._left_out.get(container_id, (None, None))[1]
            if folder is None or not folder.parent.is_dir():
                # Docker's root is not mounted for a while, and the containers are as they were.
                return
            if log:
                log.end()
                self._rescuer.stir()
                self._tell([container_id])
            else:
                self._left_out.pop(container_id)
                self._fileless.discard(container_id)
                self._forget(container_id)

    def reconsider(self) -> None:
        """Ask about each container anew: one that is no longer wanted ends here, others begin."""
        with self._lock:
            for container, folder in list(self._left_out.values()):
                self.appeared(container, folder)
            for newcomer in list(self._postponed.values()):
                self.changed(newcomer.container)
            for log in list(self._logs.values()):
                if self._reason_against(log.container):
                    self._leave_out(log.container, log)

    def errors(self) -> list[str]:
        """Return what is wrong with single logs."""
        told = [each.error for each in list(self._logs.values())]
        told += [each.error for each in list(self._postponed.values())]
        return [error for error in told if error]

    def count(self) -> int:
        """Return how many logs there are."""
        return len(self._logs)

    def _leave_out(self, container: Container, log: FollowedLog) -> None:
        """Let go of a container that is not wanted; positions and copies stay as long as it is there."""
        if not log.chain.removed:
            self._left_out[container.id] = (container, log.folder)
        self._drop(container.id, forget=log.chain.removed)

    def _take(self, log: FollowedLog) -> None:
        self._logs[log.container.id] = log
        self._stirred.set()
        log.lanes = self._lanes
        for lane in log.lanes:
            lane.add(log.arrival())

    def _restore_removed(self) -> None:
        """Take the logs of containers that were removed while a sink still needed them."""
        for container in self._spool.containers():
            if container.id in {*self._logs, *self._left_out, *self._postponed}:
                continue
            if self._reason_against(container):
                self._forget(container.id)
                continue
            log = self._made(container, self._spool.folder / "removed")
            log.adopt(self._spool)
            log.end()
            self._take(log)
            self._tell([container.id])

    def _forget_older(self) -> None:
        """Forget containers that went long ago, while nobody watched; raises StateError."""
        present = {*self._logs, *self._left_out, *self._postponed}
        for container_id in self._keeper.unmoved(_FORGET_SECONDS) - present:
            if self._mine(container_id):
                self._keeper.forget(container_id)

    def _made(self, container: Container, folder: Path) -> FollowedLog:
        return FollowedLog.make(container, folder, self._store, from_now=self._from_now(container))

    def _tell(self, container_ids: Sequence[str]) -> None:
        for lane in self._lanes:
            lane.notice(container_ids)

    def _run(self) -> None:
        anything_talks = True
        while not self._stop.wait(LOOK_SECONDS):
            if not anything_talks:
                self._stirred.wait(_THOROUGH_SECONDS - LOOK_SECONDS)
            self._stirred.clear()
            try:
                with self._lock:
                    anything_talks = self._look()
                    self._tidy()
            except Exception:  # the next round must come, whatever this one met
                logger.exception("fault in looking at files")

    def _look(self) -> bool:
        """Look for news, and tell whether any container has said something lately."""
        now = time.monotonic()
        if thorough := now - self._thorough_at >= _THOROUGH_SECONDS - LOOK_SECONDS / 2:
            self._thorough_at = now
        talking = {key: log for key, log in self._logs.items() if not log.is_silent(now)}
        looked_at = self._logs if thorough else talking
        if changed := [key for key, log in looked_at.items() if log.look(thorough=thorough)]:
            self._tell(changed)
        return bool(talking or changed)

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = time.monotonic()
        for container_id in list(self._postponed):
            self._admit(self._postponed.pop(container_id))
        for container_id, log in list(self._logs.items()):
            if log.chain.removed:
                if log.is_read():
                    self._drop(container_id, forget=True)
                continue
            try:
                log.release(self._spool, self._keeper)
            except StateError as error:
                logger.error(str(error))  # noqa: TRY400 - the sentence says it all

    def _drop(self, container_id: str, *, forget: bool) -> None:
        log = self._logs.pop(container_id)
        for lane in self._lanes:
            lane.forget(container_id, gone=forget)
        log.chain.close()
        if forget:
            self._forget(container_id)

    def _forget(self, container_id: str) -> None:
        """Forget a container that is gone; what cannot be forgotten now is later, for its age."""
        try:
            for name in self._spool.of(container_id):
                self._spool.remove(container_id, name)
            self._keeper.forget(container_id)
        except StateError as error:
            logger.error(str(error))  # noqa: TRY400 - the sentence says it all
