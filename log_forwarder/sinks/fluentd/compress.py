"""Compression of payloads, as the forward protocol names it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from log_forwarder.sinks.deflate import gzipped
from log_forwarder.sinks.fluentd.encode import Compression
from log_forwarder.sinks.word import SinkWord

NAMES = ("none", "gzip", "zstd")
# Zstandard's fastest level with its whole window.
_LEVEL = 1
# Python's own since 3.14, the same for older ones, and the older library.
_ZSTD_MODULES = ("compression.zstd", "backports.zstd", "zstandard")


def compression(name: str, word: SinkWord) -> Compression:
    """Return the compression called ``name``; ConfigError if its library is missing."""
    if name == "gzip":
        return Compression("gzip", gzipped)
    if name == "zstd":
        return Compression("zstd", _zstd(word))
    return Compression("", bytes)


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
