"""The kernel's notices of new names in folders (inotify), and what to do when there are none."""

from __future__ import annotations

import errno
import os
import select
from dataclasses import dataclass
from pathlib import Path

from inotify_simple import INotify, flags

# A name that comes, by creation or by rename, which is how Docker writes its configuration and rotates logs.
_COMES = flags.CREATE | flags.MOVED_TO
_GOES = flags.DELETE | flags.MOVED_FROM
# Of the folder itself: its name, its file system or our watch is gone.
_ENDS = flags.IGNORED | flags.UNMOUNT | flags.DELETE_SELF | flags.MOVE_SELF

# inotify_init and inotify_add_watch: what is exhausted, and the setting that has more of it.
_LIMITS = {
    errno.EMFILE: "fs.inotify.max_user_instances (or the limit of open files)",
    errno.ENOSPC: "fs.inotify.max_user_watches",
    errno.ENOMEM: "the memory of the kernel",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A watched folder: the container's id, empty for the folder of all, and the part of its folder."""

    container_id: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened in a place: ``name`` came or ``goes``, or the place itself ``ends``.

    Without a place, notices were dropped because there were too many.
    """

    place: Place | None
    name: str = ""
    is_folder: bool = False
    goes: bool = False
    ends: bool = False


class Notices:
    """Watches folders, for one thread; others may call ``wake``, and ``close`` when that has ended.

    ``error`` is why some folder is not watched, with its remedy; empty when all are.
    """

    def __init__(self) -> None:
        self.error = ""
        self._inotify: INotify | None = None
        self._places: dict[int, Place] = {}
        self._watched: set[Place] = set()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)

    def watch(self, place: Place, path: Path) -> None:
        """Watch a folder unless it is watched already.

        Exhausted limits end up in ``error``; raises FileNotFoundError and PermissionError.
        """
        if place in self._watched:
            return
        try:
            goes = 0 if place.container_id else _GOES
            watch = self._opened().add_watch(path, _COMES | goes | flags.ONLYDIR)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            raise
        except OSError as error:
            self.error = _sentence(path, error)
        else:
            self._places[watch] = place
            self._watched.add(place)

    def forget(self, container_id: str) -> None:
        """Take note that the folders of a container are gone; the kernel has removed their watches itself."""
        self._watched = {place for place in self._watched if place.container_id != container_id}

    def wait(self, seconds: float) -> list[Notice]:
        """Return what happened, waiting up to ``seconds`` for it or for ``wake``."""
        self._poll.poll(seconds * 1000)
        if self._inotify is None:
            return []
        return [
            notice
            for event in self._inotify.read(timeout=0)
            if (notice := self._notice(event.wd, event.mask, event.name))
        ]

    def wake(self) -> None:
        """End a wait, now or the next one."""
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def reset(self) -> None:
        """Drop every watch."""
        if self._inotify is not None:
            self._poll.unregister(self._inotify.fileno())
            self._inotify.close()
        self._inotify = None
        self._places.clear()
        self._watched.clear()

    def close(self) -> None:
        """Drop every watch, and let go of what ``wake`` uses; only when nobody waits any more."""
        self.reset()
        wake, self._wake = self._wake, -1
        if wake >= 0:
            os.close(wake)

    def _opened(self) -> INotify:
        if self._inotify is None:
            self._inotify = INotify()
            self._poll.register(self._inotify.fileno(), select.POLLIN)
        return self._inotify

    def _notice(self, watch: int, mask: int, name: str) -> Notice | None:
        if mask & flags.Q_OVERFLOW:
            return Notice(None)
        if (place := self._places.get(watch)) is None:
            return None
        if mask & flags.IGNORED:
            del self._places[watch]
            self._watched.discard(place)
        return Notice(place, name, bool(mask & flags.ISDIR), bool(mask & _GOES), bool(mask & _ENDS))


def _sentence(path: Path, error: OSError) -> str:
    wanted = _LIMITS.get(error.errno or 0)
    remedy = f"raise {wanted}" if wanted else "use a file system with inotify"
    return f"{path} cannot be watched ({error.strerror}), it is looked at every second instead: {remedy}"
