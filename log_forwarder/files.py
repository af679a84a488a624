"""Docker's log files of all containers: found, watched, and let go when every sink has them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compose_agent.dockerd.model import Container
from log_forwarder.event import Mark
from log_forwarder.keeper import Keeper
from log_forwarder.lane import Arrival, Lane
from log_forwarder.rescue import Rescuer
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.follower import Format
from log_forwarder.sources.jsonfile import JsonFile
from log_forwarder.sources.local import Local
from log_forwarder.spool import Kept, Spool
from log_forwarder.store import GenerationNames, StateError, Store

logger = logging.getLogger(__name__)

# How late a line may be noticed. Looking is a stat for each container.
LOOK_SECONDS = 0.2
# One of so many rounds asks by name, and looks at silent containers too; inotify tells of new files at once.
_THOROUGH_ROUNDS = 5
# A container is silent that has said nothing for so long.
_SILENT_SECONDS = 30.0
# How often files that every sink has are closed.
_TIDY_SECONDS = 1.0
# Positions of containers that went while nobody watched. Not at once: folders may be mounted late.
_FORGET_SECONDS = 7 * 86400.0

FORMATS: dict[str, Format] = {"json-file": JsonFile(), "local": Local()}


def has_files(container: Container) -> bool:
    """Tell whether a container's log driver leaves files that are read in place."""
    return (container.log_driver or "json-file") in FORMATS


@dataclass(eq=False, slots=True)
class _Log:
    """One container's log, with what the watch needs to know of it."""

    container: Container
    folder: Path
    chain: Chain
    names: GenerationNames
    format: Format
    file_name: str
    from_now: bool
    lanes: Sequence[Lane] = ()
    heard: float = field(default_factory=time.monotonic)
    removed_at: float = 0.0
    error: str = ""

    def needs(self) -> Mark | None:
        """Return from where on some lane needs this log, None without any lane."""
        marks = [lane.needs(self.container.id) for lane in self.lanes]
        if not marks:
            return None
        names = [each.name for each in self.chain.generations]
        return min(marks, key=lambda mark: (_index(names, mark.generation), mark.offset))


class LogFiles:
    """Knows the log of each container, and tells every lane of it.

    The containers come from a folder watch (it is its listener); ``reason_against`` tells which are not read.
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
    ) -> None:
        self._without_files = without_files
        self._left_out: dict[str, tuple[Container, Path]] = {}
        self._postponed: dict[str, tuple[Container, Path]] = {}
        self._store = store
        self._keeper = keeper
        self._spool = spool
        self._reason_against = reason_against
        self._from_now = begin
        self._logs: dict[str, _Log] = {}
        self._lanes: tuple[Lane, ...] = ()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="look at files", daemon=True)
        self._rescuer = Rescuer(spool, lambda: list(self._logs.values()))
        self._kept: dict[str, list[Kept]] = {}
        for kept in spool.load():
            self._kept.setdefault(kept.container.id, []).append(kept)
        self._round = 0
        self._tidied = 0.0

    def start(self) -> None:
        """Begin to look for news, once the containers that are there have been reported."""
        self._restore_removed()
        self._keeper.forget_older({*self._logs, *self._left_out}, _FORGET_SECONDS)
        self._thread.start()
        self._rescuer.start()

    def stop(self) -> None:
        """Look no more; what Docker removes and a sink has not is copied once more."""
        self._stop.set()
        self._thread.join()
        self._rescuer.stop()

    def close(self) -> None:
        """Close every file."""
        for log in self._logs.values():
            log.chain.close()

    def set_lanes(self, lanes: Sequence[Lane]) -> None:
        """Serve these lanes; those that are new hear of every container."""
        with self._lock:
            fresh = [lane for lane in lanes if lane not in self._lanes]
            self._lanes = tuple(lanes)
            logs = list(self._logs.values())
            for log in logs:
                log.lanes = self._lanes
        for lane in fresh:
            for log in logs:
                lane.add(self._arrival(log))

    def appeared(self, container: Container, folder: Path) -> None:
        """Take a container, and open what it has written."""
        if reason := self._reason_against(container):
            logger.debug("not shipped", extra={"container": container.name, "reason": reason})
            self._left_out[container.id] = (container, folder)
            return
        self._left_out.pop(container.id, None)
        try:
            self._appeared(container, folder)
        except StateError as error:
            logger.error(str(error))  # noqa: TRY400 - the sentence says it all
            self._postponed[container.id] = (container, folder)

    def _appeared(self, container: Container, folder: Path) -> None:
        if container.id in self._logs:
            return
        if not has_files(container):
            self._left_out[container.id] = (container, folder)
            self._without_files(container)
            return
        log = self._made(container, folder)
        self._look(log)
        self._adopt(log)
        self._take(log)

    def changed(self, container: Container) -> None:
        """Take what is new about a container; its labels, driver or addresses may be known only now."""
        if container.id in self._left_out:
            self.appeared(container, self._left_out[container.id][1])
        elif log := self._logs.get(container.id):
            if self._reason_against(container):
                self._leave_out(container, log)
                return
            if has_files(container) and FORMATS[container.log_driver or "json-file"] is not log.format:
                # Only now it is known which of them it is.
                folder = log.folder
                self._drop(container.id, forget=False)
                self.appeared(container, folder)
                return
            log.container = container
            for lane in self._lanes:
                lane.update(container)

    def file_created(self, container_id: str, name: str) -> None:
        """Open a new log file at once: it may be gone soon."""
        if (log := self._logs.get(container_id)) and name == log.file_name:
            log.chain.created()
            if self._look(log):
                self._tell([container_id])

    def vanished(self, container_id: str) -> None:
        """Read what a removed container has left, from the descriptors that are open."""
        self._left_out.pop(container_id, None)
        self._postponed.pop(container_id, None)
        if (log := self._logs.get(container_id)) and log.folder.parent.is_dir():
            # Otherwise Docker's root is not mounted for a while, and the containers are as they were.
            log.chain.gone()
            log.removed_at = time.monotonic()
            self._tell([container_id])

    def reconsider(self) -> None:
        """Ask about each container anew: one that is no longer wanted ends here, others begin."""
        for container, folder in list(self._left_out.values()):
            self.appeared(container, folder)
        for log in list(self._logs.values()):
            if self._reason_against(log.container):
                self._leave_out(log.container, log)

    def errors(self) -> list[str]:
        """Return what is wrong with single logs."""
        return [log.error for log in list(self._logs.values()) if log.error]

    def count(self) -> int:
        """Return how many logs there are."""
        return len(self._logs)

    def _leave_out(self, container: Container, log: _Log) -> None:
        self._left_out[container.id] = (container, log.folder)
        self._drop(container.id, forget=False)

    def _take(self, log: _Log) -> None:
        with self._lock:
            self._logs[log.container.id] = log
            log.lanes = self._lanes
        for lane in log.lanes:
            lane.add(self._arrival(log))

    def _adopt(self, log: _Log) -> None:
        """Put copies that an earlier run made in front of what Docker still has."""
        there = {log.chain.identify(each) for each in log.chain.generations}
        for kept in reversed(self._kept.pop(log.container.id, [])):
            if kept.generation.name in there:
                kept.generation.close()
                self._spool.remove(log.container.id, kept.generation.name)
            else:
                log.chain.adopt(kept.generation)

    def _restore_removed(self) -> None:
        """Take the logs of containers that were removed while a sink still needed them."""
        for container_id, kept in list(self._kept.items()):
            container = kept[-1].container
            log = self._made(container, self._spool.folder / "removed")
            self._adopt(log)
            log.chain.gone()
            log.removed_at = time.monotonic()
            self._take(log)
            self._tell([container_id])

    def _made(self, container: Container, folder: Path) -> _Log:
        format_ = FORMATS[container.log_driver or "json-file"]
        name = format_.file_name.format(id=container.id)
        names = self._store.names(container.id)
        chain = Chain(folder / name, format_, names)
        return _Log(container, folder, chain, names, format_, name, from_now=self._from_now(container))

    def _arrival(self, log: _Log) -> Arrival:
        return Arrival(log.container, log.chain, log.format, log.from_now)

    def _tell(self, container_ids: Sequence[str]) -> None:
        for lane in self._lanes:
            lane.notice(container_ids)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._round += 1
            now = time.monotonic()
            thorough = self._round % _THOROUGH_ROUNDS == 0
            changed = []
            for container_id, log in list(self._logs.items()):
                if (thorough or now - log.heard < _SILENT_SECONDS) and self._look(log, thorough=thorough):
                    log.heard = now
                    changed.append(container_id)
            if changed:
                self._tell(changed)
            if now - self._tidied > _TIDY_SECONDS:
                self._tidied = now
                self._tidy()

    def _look(self, log: _Log, *, thorough: bool = True) -> bool:
        try:
            news = log.chain.look(thorough=thorough)
        except OSError as error:
            if not log.error:
                logger.warning(
                    "a log cannot be opened",
                    extra={"container": log.container.name, "error": str(error)},
                )
            log.error = f"the log of {log.container.name} cannot be opened ({error.strerror})"
            return False
        log.error = ""
        return news

    def _tidy(self) -> None:
        for container_id in list(self._postponed):
            self.appeared(*self._postponed.pop(container_id))
        for container_id, log in list(self._logs.items()):
            try:
                if log.chain.removed:
                    if self._is_read(container_id):
                        self._drop(container_id, forget=True)
                elif len(log.chain.generations) > 1:
                    self._release(container_id, log)
            except StateError as error:
                logger.error(str(error))  # noqa: TRY400 - the sentence says it all

    def _is_read(self, container_id: str) -> bool:
        followers = [lane.follower(container_id) for lane in self._lanes]
        return all(follower is not None and follower.drained() for follower in followers)

    def _release(self, container_id: str, log: _Log) -> None:
        """Close the files before the oldest one that a lane needs."""
        mark = log.needs()
        if mark is None or not mark.generation:
            return
        needed = next((each for each in log.chain.generations if each.name == mark.generation), None)
        if needed is not None and needed is not log.chain.generations[0]:
            log.chain.release(needed)
            left = [each.name for each in log.chain.generations]
            log.names.keep_only(left)
            for name in self._spool.of(container_id):
                if name not in left:
                    self._spool.remove(container_id, name)

    def _drop(self, container_id: str, *, forget: bool) -> None:
        with self._lock:
            log = self._logs.pop(container_id, None)
        if log is None:
            return  # another thread was first
        for lane in self._lanes:
            lane.forget(container_id, gone=forget)
        log.chain.close()
        if forget:
            for name in self._spool.of(container_id):
                self._spool.remove(container_id, name)
            self._keeper.forget(container_id)


def _index(names: Sequence[str], name: str) -> int:
    return names.index(name) if name and name in names else -1
