"""Keeping the memory of a process with many threads small."""

from __future__ import annotations

import ctypes

# <malloc.h> of the GNU C library.
_M_ARENA_MAX = -8


def share_one_heap() -> None:
    """Have all threads take memory from one heap, before they are started; nothing outside the GNU library.

    It would give each of them one of its own, so that they need not wait for each other, and Python's threads
    do that anyway. What one has freed, another could then not use.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
