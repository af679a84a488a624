"""Which containers are whose, when several processes ship the logs of one host."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

# So many digits of an id decide, because names of files in the spool have no more.
ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Share:
    """The part ``index`` (from 0) of ``count`` parts; the only one is everything."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Share:
        """Return the share in ``0/4``; raises ValueError."""
        index, _, count = text.partition("/")
        share = cls(int(index), int(count))
        if not 0 <= share.index < share.count:
            raise ValueError(text)
        return share

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def is_whole(self) -> bool:
        """Whether there is only this one."""
        return self.count == 1

    def has(self, container_id: str) -> bool:
        """Tell whether a container, by its id or the first twelve digits of it, is of this part."""
        return zlib.crc32(container_id[:ID_DIGITS].encode()) % self.count == self.index

    def of(self, limit: int) -> int:
        """Return this part of a limit that all parts share."""
        return limit // self.count
