"""The numbered lines, and counting them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

# One word to the analyzers of search servers, and to people who find it in their logs.
_MARKER = "composeagentverify"
# So that some thousand lines fill several files.
_PADDING = "." * 64
# Docker's record of a line: some 30 characters and 75 bytes around the padding, and room for large numbers.
_RECORD_BYTES = 200
# Docker rotates about so many times while the lines are written, ...
_ROTATIONS = 8
# ... at sizes between a page and what a host would have.
_LEAST_FILE_BYTES = 4 << 10
_MOST_FILE_BYTES = 10 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """``count`` lines, numbered from 1, each with the ``marker``."""

    marker: str
    count: int

    @classmethod
    def make(cls, count: int) -> Self:
        """Return a plan whose marker nobody else has."""
        return cls(_MARKER + secrets.token_hex(6), count)

    def script(self) -> str:
        """Return what a shell writes them with; it needs no program beside itself."""
        line = f"{self.marker} $i {_PADDING}"
        return f'i=1; while [ $i -le {self.count} ]; do echo "{line}"; i=$((i+1)); done'

    def rotation(self) -> dict[str, str]:
        """Return options of Docker's log drivers by which files are rotated and none is removed."""
        total = self.count * _RECORD_BYTES
        size = min(max(total // _ROTATIONS, _LEAST_FILE_BYTES), _MOST_FILE_BYTES)
        return {"max-size": str(size), "max-file": str(total // size + _ROTATIONS)}


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the lines; ``out_of_order`` are those that came behind one with a larger number."""

    written: int
    found: int
    repeated: int
    out_of_order: int

    @property
    def lost(self) -> int:
        """How many did not arrive."""
        return self.written - self.found

    @property
    def exact(self) -> bool:
        """Whether each line arrived once."""
        return self.lost == 0 and self.repeated == 0


def tally(plan: Plan, texts: Iterable[str]) -> Tally:
    """Return what ``texts`` have of the lines of a plan; one text may have several lines."""
    number_of = re.compile(rf"{plan.marker} ([0-9]+) ")
    seen: set[int] = set()
    repeated = out_of_order = highest = 0
    for number in (int(digits) for text in texts for digits in number_of.findall(text)):
        if number in seen:
            repeated += 1
            continue
        seen.add(number)
        out_of_order += number < highest
        highest = max(highest, number)
    return Tally(plan.count, len(seen), repeated, out_of_order)
