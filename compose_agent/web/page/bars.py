"""Bars of a share, as ``_bar.html`` draws them."""

from __future__ import annotations

from dataclasses import dataclass

# From here a limit is near enough to say so, and near enough to hurt.
_HIGH, _FULL = 0.8, 0.95


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of ``percent`` of its width; ``tone`` is its colour: share, fine, high or full."""

    percent: float
    tone: str


def bar(ratio: float | None, *, limit: bool = True) -> Bar | None:
    """Return the bar of a share; without a ``limit`` behind it, it is never too long."""
    if ratio is None:
        return None
    tone = "fine" if ratio < _HIGH else "high" if ratio < _FULL else "full"
    return Bar(round(min(1.0, max(0.0, ratio)) * 100, 1), tone if limit else "share")
