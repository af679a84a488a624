"""Maintenance windows: recurring times of the week in which nothing is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """From ``begin`` to ``end`` minutes after midnight on these days (0 is Monday), in a time zone."""

    days: frozenset[int]
    begin: int
    end: int
    zone: str = "UTC"
