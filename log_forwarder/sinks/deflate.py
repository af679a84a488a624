"""Compression of what is sent, at the lowest effort: gzip (RFC 1952) and zlib (RFC 1950).

ISA-L's deflate takes far less CPU than zlib's level 1, and log lines with metadata become as small. Where
there is no build of it for the machine, zlib does the same work.
"""

from __future__ import annotations

from types import ModuleType

zlib: ModuleType
try:
    from isal import isal_zlib as zlib
except ImportError:
    import zlib

# Level 1: lines of a container are so alike that more effort gains little.
_LEVEL = 1
_ZLIB, _GZIP = 15, 31


def gzipped(data: bytes | memoryview) -> bytes:
    """Return data in gzip."""
    return _packed(data, _GZIP)


def deflated(data: bytes | memoryview) -> bytes:
    """Return data in zlib's format."""
    return _packed(data, _ZLIB)


def _packed(data: bytes | memoryview, window: int) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, window)
    packed: bytes = packer.compress(data) + packer.flush()
    return packed
