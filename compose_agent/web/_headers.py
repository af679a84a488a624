"""How a request's headers are read: strictly, where readers would understand them differently."""

from __future__ import annotations

import re
from typing import Any

from cheroot.server import HeaderReader

# A name, a colon, and no byte that ends a line for others; one that goes on from the line before is none.
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[^\0\r\n]*\r?\n")
# Readers differ in which of two they believe.
_ONLY_ONCE = {b"content-length", b"transfer-encoding", b"host"}


class _HeaderLines:
    """A request's header lines, each of a form that all readers understand alike (RFC 9112, 5)."""

    def __init__(self, rfile: Any) -> None:
        self._rfile = rfile
        self._seen: set[bytes] = set()

    def readline(self) -> bytes:
        """Return the next line; ValueError for one that is folded, without a name, or framing once more."""
        line: bytes = self._rfile.readline()
        if line.strip(b"\r\n"):
            self._check(line)
        return line

    def _check(self, line: bytes) -> None:
        found = _HEADER_LINE.match(line)
        if found is None:
            raise ValueError("Illegal header line.")
        name = found[1].lower()
        if name in _ONLY_ONCE and name in self._seen:
            raise ValueError("A header stands there twice.")
        self._seen.add(name)


class Headers(HeaderReader):
    """Leaves out names with underscores, which WSGI cannot tell from those with hyphens."""

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Read the headers; ValueError for malformed ones."""
        read: dict[bytes, bytes] = super().__call__(_HeaderLines(rfile), hdict)
        return read

    def _allow_header(self, key_name: bytes) -> bool:
        return b"_" not in key_name
