"""Compression of payloads, as the forward protocol names it."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any

from log_forwarder.sinks.fluentd.encode import Compression
from log_forwarder.sinks.word import SinkWord

NAMES = ("none", "gzip", "zstd")
# Level 1 costs a third of level 6 and leaves a sixth more bytes (log lines with metadata).
_LEVEL = 1
# zlib's number for a gzip header with the largest window.
_GZIP_WINDOW = 31
# Python's own since 3.14, the same for older ones, and the older library.
_ZSTD_MODULES = ("compression.zstd", "backports.zstd", "zstandard")


def compression(name: str, word: SinkWord) -> Compression:
    """Return the compression called ``name``; ConfigError if its library is missing."""
    if name == "gzip":
        return Compression("gzip", _gzip)
    if name == "zstd":
        return Compression("zstd", _zstd(word))
    return Compression("", bytes)


def _gzip(payload: memoryview) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return compressor.compress(payload) + compressor.flush()


def _zstd(word: SinkWord) -> Callable[[memoryview], bytes]:
    for name in _ZSTD_MODULES:
        try:
            module: Any = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(module, "ZstdCompressor") and name == "zstandard":
            compress: Callable[[memoryview], bytes] = module.ZstdCompressor(level=_LEVEL).compress
            return compress
        return lambda payload: bytes(module.compress(payload, level=_LEVEL))
    raise word.problem("compress: zstd needs the package zstandard, install it or take gzip")
