"""Signals by name and number, as ``kill`` and ``stop`` take them."""

from __future__ import annotations

import signal

KILL = int(signal.SIGKILL)
TERM = int(signal.SIGTERM)

# What ends a process that handles none of them; the others leave it alone or stop it.
FATAL = frozenset(
    int(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGKILL)
)


def parse_signal(text: str) -> int | None:
    """Return the number of ``"SIGTERM"``, ``"term"`` or ``"15"``, None when there is no such signal."""
    if text.isdigit():
        number = int(text)
        return number if 1 <= number < signal.NSIG else None
    name = text.upper().removeprefix("SIG")
    found = signal.Signals.__members__.get(f"SIG{name}")
    return None if found is None else int(found)
