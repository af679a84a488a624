"""Values as people read them. A dash stands for what is unknown or does not apply."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from typing import Literal

from compose_agent.dockerd.overview.model import ContainerRow

DASH = "–"  # noqa: RUF001 - a dash, not a minus

Level = Literal["bad", "warn", "idle", "ok"]
# From what needs a person first to what needs none.
LEVELS: tuple[Level, ...] = ("bad", "warn", "ok", "idle")

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Exit codes that a shell or the runtime gives instead of the program, and 128 + the signal's number.
_SHELL_EXITS = {125: "could not start", 126: "not executable", 127: "not found"}
_SIGNALLED = 128
_KILLED, _TERMINATED, _INTERRUPTED = 137, 143, 130
# The Engine's longest pause between restarts: a container that crashes in a loop is never up for longer
# without a sign of it.
FLAPPING_SECONDS = 60.0


def level(row: ContainerRow) -> Level:
    """Return how much a container needs a person.

    SIGTERM and SIGINT end a container that was asked to stop; SIGKILL may be the end of an impatient stop.
    """
    if row.state == "running" and row.health == "unhealthy":
        return "bad"
    if row.state == "running":
        return "warn" if row.health == "starting" or just_restarted(row) else "ok"
    if row.state in ("dead", "restarting"):
        return "bad"
    if row.state == "exited":
        return _level_of_exit(row.exit_code or 0)
    return "warn" if row.state in ("paused", "removing") else "idle"


def just_restarted(row: ContainerRow) -> bool:
    """Tell whether the Engine restarted it a moment ago, so that "running" may not last."""
    return row.restarts > 0 and row.uptime_seconds is not None and row.uptime_seconds < FLAPPING_SECONDS


def _level_of_exit(code: int) -> Level:
    if code in (0, _TERMINATED, _INTERRUPTED):
        return "idle"
    return "warn" if code == _KILLED else "bad"


def state_words(row: ContainerRow) -> str:
    """Return state and detail: ``running, unhealthy`` or ``exited, code 137 (SIGKILL)``."""
    return ", ".join(filter(None, (row.state, state_detail(row))))


def state_detail(row: ContainerRow) -> str:
    """Return health or exit code, or that it was just restarted; empty when there is nothing to add."""
    if row.running and row.health != "none":
        return row.health
    if row.running:
        return "restarted" if just_restarted(row) else ""
    return "" if row.exit_code is None else exit_words(row.exit_code)


def exit_words(code: int) -> str:
    """Return an exit code with what it stands for, if that is known."""
    meaning = _SHELL_EXITS.get(code)
    if meaning is None and code > _SIGNALLED:
        try:
            meaning = signal.Signals(code - _SIGNALLED).name
        except ValueError:
            meaning = None
    return f"code {code} ({meaning})" if meaning else f"code {code}"


def printable(text: str) -> str:
    """Return ``text`` without what would move a cursor, colour a terminal or turn other texts round.

    Names and labels come from anybody.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def size(value: float | None) -> str:
    """Return bytes in binary units: ``28.9 MiB``."""
    return _scaled(value, 1024, _BINARY)


def plain_size(value: float | None) -> str:
    """Return a limit in binary units without needless digits: ``32 MiB``."""
    return size(value).replace(".0 ", " ")


def rate(value: float | None) -> str:
    """Return bytes per second in decimal units: ``1.2 kB/s``; nothing at all is ``0``."""
    if value is not None and value < 1:
        return "0"
    return DASH if value is None else f"{_scaled(value, 1000, _DECIMAL)}/s"


def _scaled(value: float | None, base: int, units: tuple[str, ...]) -> str:
    if value is None:
        return DASH
    for unit in units[:-1]:
        # What rounds up to the next unit is said in it: not "1000.0 kB".
        if abs(value) < (base if unit == units[0] else base - 0.05):
            return f"{value:.0f} {unit}" if unit == units[0] or value >= 99.95 else f"{value:.1f} {unit}"
        value /= base
    return f"{value:.1f} {units[-1]}"


def percent(ratio: float | None) -> str:
    """Return a share in percent, 1 as ``100 %``, with a tenth up to there."""
    if ratio is None:
        return DASH
    value = ratio * 100
    return f"{value:.1f} %" if value < 99.95 else f"{value:.0f} %"


def plain_percent(ratio: float | None) -> str:
    """Return a limit in percent without needless digits: ``5 %``, ``150 %``, ``12.5 %``."""
    return DASH if ratio is None else f"{ratio * 100:.4g} %"


def duration(seconds: float | None) -> str:
    """Return a time span by its two largest units: ``45 s``, ``12 min``, ``3 h 20 min``, ``5 d 4 h``."""
    if seconds is None:
        return DASH
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _two(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"


def lifetime(row: ContainerRow, now: float) -> str:
    """Return how long a container has been up, or how long ago it ended; ``now`` is Unix time."""
    if row.uptime_seconds is not None:
        return duration(row.uptime_seconds)
    if row.finished_timestamp_seconds is None:
        return DASH
    return f"{duration(max(0.0, now - row.finished_timestamp_seconds))} ago"


def clock(timestamp: float) -> str:
    """Return the time of day in UTC: ``03:12:45 UTC``."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%H:%M:%S UTC")


def date(timestamp: float) -> str:
    """Return date and time in UTC: ``2026-02-28 03:12:45 UTC``."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
