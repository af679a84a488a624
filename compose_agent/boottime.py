"""Moments of this host's own clock that runs on whatever is done to the time of day.

It counts from the start of the kernel and goes on while the host is suspended, so that a deadline holds
through both, and through the end of any process. What was to be before a reboot is over: nobody can tell how
long that took.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import msgspec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Moment(msgspec.Struct, frozen=True):
    """Seconds ``at`` of the clock of one run of the kernel, ``boot``."""

    boot: str
    at: float

    def is_past(self) -> bool:
        """Tell whether it is over."""
        return self.boot != boot_id() or clock() > self.at

    def left(self) -> float:
        """Return the seconds until then, negative when it is over."""
        return self.at - clock() if self.boot == boot_id() else float("-inf")


def clock() -> float:
    """Return the seconds since the kernel started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def after(seconds: float) -> Moment:
    """Return the moment that comes in so many seconds."""
    return Moment(boot_id(), clock() + seconds)


@cache
def boot_id() -> str:
    """Return the name of this run of the kernel."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        # A sandbox without it: what an earlier process has promised then counts as over.
        return f"process {time.clock_gettime(time.CLOCK_BOOTTIME)}"
