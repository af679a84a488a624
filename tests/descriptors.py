"""What this process has open."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def opened() -> list[Path]:
    """Return what the descriptors of this process lead to."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own, and one that another thread has closed
            found.append(link.readlink())
    return found


def open_sockets() -> set[str]:
    """Return the sockets among them."""
    return {target for target in map(str, opened()) if target.startswith("socket:")}


def descriptors(folder: Path) -> int:
    """Return how many descriptors this process has of files in a folder, also of those that are gone.

    What threads of other tests have open, which may only just be ending, is somewhere else.
    """
    return sum(each.is_relative_to(folder) for each in opened())
