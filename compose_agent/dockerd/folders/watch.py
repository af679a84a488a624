"""A live picture of the containers in Docker's folders, by the kernel's notices and by sweeps."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from compose_agent.dockerd.folders.contract import FolderCounts, FolderListener, FoldersUnreadable, Tally
from compose_agent.dockerd.folders.folder import Folder
from compose_agent.dockerd.folders.guarded import Guarded
from compose_agent.dockerd.folders.model import LOCAL_LOGS, is_container_id
from compose_agent.dockerd.folders.notices import Notice, Notices, Place

logger = logging.getLogger(__name__)

# What inotify did not tell stays unseen no longer than this; a sweep costs some stat for each container.
SWEEP_SECONDS = 10.0
# When inotify tells nothing, or the folders are gone: a container that lives for a second is still seen.
BLIND_SWEEP_SECONDS = 1.0
# An end waits for what the listener does at that moment, and for no more.
STOP_SECONDS = 5.0

_ALL = Place()
# The folder is not there (any more).
_GONE = (FileNotFoundError, NotADirectoryError)


class FolderWatch:
    """Tells ``listener`` of the containers below ``root`` (``--docker-root``), from one thread of its own."""

    def __init__(
        self,
        root: Path,
        listener: FolderListener,
        *,
        sweep_seconds: float = SWEEP_SECONDS,
        blind_sweep_seconds: float = BLIND_SWEEP_SECONDS,
        notices: Notices | None = None,
    ) -> None:
        self._path = root / "containers"
        self._tally = Tally()
        self._listener = Guarded(listener, self._tally)
        self._sweep_seconds = sweep_seconds
        self._blind_sweep_seconds = blind_sweep_seconds
        self._notices = notices or Notices()
        self._folders: dict[str, Folder] = {}
        self._identity: tuple[int, int] | None = None
        self._round = 0
        self._pending: deque[tuple[int, Notice]] = deque()
        self._next_sweep = 0.0
        self._trouble: FoldersUnreadable | None = None
        self._refusal: FoldersUnreadable | None = None
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="docker-folders", daemon=True)

    @property
    def error(self) -> str:
        """What is wrong, in one sentence, and empty while all is well.

        Folders that are gone (every container has vanished then, until they return), rights that are missing,
        limits of inotify.
        """
        return str(self._trouble or self._notices.error)

    def start(self) -> None:
        """Report what there is and go on watching; FoldersUnreadable when that cannot be read."""
        self._thread.start()
        self._ready.wait()
        if self._refusal:
            self.stop()
            raise self._refusal

    def stop(self) -> None:
        """End the thread; the listener hears nothing afterwards."""
        self._stop.set()
        self._notices.wake()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._notices.close()

    def counts(self) -> FolderCounts:
        """Return what was counted so far."""
        return self._tally.counts

    def _run(self) -> None:
        self._safely(self._sweep)
        self._refusal = self._trouble
        self._ready.set()
        while not self._stop.is_set() and not self._refusal:
            self._safely(self._turn)

    def _safely(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:  # the thread's outermost loop: without it nothing new would ever be seen
            logger.exception("a change in Docker's folders could not be handled")
            self._tally.add("failures")
            # A sweep that fails must not be repeated at once.
            self._next_sweep = time.monotonic() + self._blind_sweep_seconds

    def _turn(self) -> None:
        """Wait for notices and apply them; sweep when that is due."""
        self._read(max(0.0, self._next_sweep - time.monotonic()))
        while self._pending:
            self._apply(*self._pending.popleft())
        if time.monotonic() >= self._next_sweep and not self._stop.is_set():
            self._sweep()

    def _read(self, seconds: float) -> None:
        self._round += 1
        notices = self._notices.wait(0.0 if self._pending else seconds)
        self._tally.add("notices", len(notices))
        self._pending.extend((self._round, notice) for notice in notices)

    def _apply(self, round_: int, notice: Notice) -> None:
        if notice.place is None:
            self._tally.add("overflows")
            self._next_sweep = 0.0
        elif notice.place == _ALL:
            self._apply_to_all(notice)
        elif folder := self._folders.get(notice.place.container_id):
            self._apply_to(folder, notice.place.part, notice, round_)

    def _apply_to_all(self, notice: Notice) -> None:
        if notice.ends:
            self._next_sweep = 0.0
        elif not notice.is_folder or not is_container_id(notice.name):
            return
        elif notice.goes:
            self._end(notice.name)
        else:
            self._look(notice.name)

    def _apply_to(self, folder: Folder, part: str, notice: Notice, round_: int) -> None:
        if notice.ends:
            return  # the folder of all says the same, with the name
        if notice.is_folder:
            if notice.name == LOCAL_LOGS:
                self._look(folder.id)
            return
        try:
            folder.named(part, notice.name, round_)
        except OSError as error:
            self._trouble = _unreadable(folder.path, error)

    def _sweep(self) -> None:
        """See all there is, and what of it has changed."""
        self._tally.add("sweeps")
        before, self._trouble, self._notices.error = self.error, None, ""
        self._look_at_all()
        if self.error not in ("", before):
            logger.warning("Docker's folders are not followed as they should be", extra={"error": self.error})
        pause = self._blind_sweep_seconds if self.error else self._sweep_seconds
        self._next_sweep = time.monotonic() + pause

    def _look_at_all(self) -> None:
        try:
            names = self._list()
        except OSError as error:
            self._trouble = _unreadable(self._path, error)
            if not isinstance(error, _GONE):
                return  # there, but not for us at this moment: nothing has vanished
            names = set()
        for container_id in self._folders.keys() - names:
            self._end(container_id)
        for container_id in sorted(names):
            self._look(container_id)

    def _list(self) -> set[str]:
        """Return the ids of all containers, watching the folder they are in; raises OSError."""
        status = self._path.stat()
        if (identity := (status.st_dev, status.st_ino)) != self._identity:
            # Another file system was mounted here, or the folder was made anew: watches are of the old.
            self._notices.reset()
            self._identity = identity
        self._notices.watch(_ALL, self._path)
        return {each for each in os.listdir(self._path) if is_container_id(each)}  # noqa: PTH208 - names

    def _look(self, container_id: str) -> None:
        folder = self._folders.get(container_id)
        if folder is None:
            folder = Folder(self._path / container_id, self._listener, self._tally)
            self._folders[container_id] = folder
        try:
            self._look_into(folder)
        except _GONE:
            self._end(container_id)
        except OSError as error:
            self._trouble = _unreadable(folder.path, error)

    def _look_into(self, folder: Folder) -> None:
        """Watch the folder and its parts, then list them, so that nothing falls between."""
        parts = 0
        while parts < len(folder.parts):
            parts = len(folder.parts)
            for part in folder.parts:
                self._notices.watch(Place(folder.id, part), folder.path / part)
            folder.look(self._round)
        # What is in the queue by now is what the listing may have been ahead of.
        self._read(0.0)

    def _end(self, container_id: str) -> None:
        self._notices.forget(container_id)
        folder = self._folders.pop(container_id, None)
        if folder and folder.appeared:
            self._listener.vanished(container_id)


def _unreadable(path: Path, error: OSError) -> FoldersUnreadable:
    if isinstance(error, _GONE):
        remedy = f"set the folder of Docker's data, or mount it into the container with -v {path}:{path}:ro"
        return FoldersUnreadable(f"there is no folder {path}", remedy=remedy)
    if isinstance(error, PermissionError):
        remedy = 'run as root (in a container with user: "0:0"), for Docker lets nobody else read its logs'
        return FoldersUnreadable(f"{path} cannot be read ({error.strerror})", remedy=remedy)
    return FoldersUnreadable(
        f"{path} cannot be read ({error.strerror})", remedy="see to the disk or its mount"
    )
