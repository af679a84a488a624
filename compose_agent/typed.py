"""Documents as typed values: msgspec, made safe for threads.

msgspec 0.22 learns a type when something is first read as it, and other threads see what it has learnt so
far: two that read the same new type at the same moment end the process with a segmentation fault, because a
Struct is known before its fields are. So here a type is learnt once, under a lock, before anything is read
with it. This module is the only one that may make decoders or convert; ruff forbids it elsewhere.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

# Kept for good: there are as many as the program has types to read.
_json: dict[Any, msgspec.json.Decoder[Any]] = {}
_msgpack: dict[Any, msgspec.msgpack.Decoder[Any]] = {}
_learning = threading.Lock()

# A document of any shape, as dicts, lists, texts and numbers.
any_from_json = msgspec.json.Decoder().decode


def json_decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of JSON as ``kind``, always the same one."""
    found = _json.get(kind)
    if found is None:
        with _learning:
            found = _json.setdefault(kind, msgspec.json.Decoder(kind))
    return found


def msgpack_decoder(kind: type[T]) -> msgspec.msgpack.Decoder[T]:
    """Return the decoder of MessagePack as ``kind``, always the same one."""
    found = _msgpack.get(kind)
    if found is None:
        with _learning:
            found = _msgpack.setdefault(kind, msgspec.msgpack.Decoder(kind))
    return found


def from_json(data: bytes | str, kind: type[T]) -> T:
    """Return JSON as ``kind``.

    Raises msgspec.DecodeError, of which ValidationError names what is wrong; also for what is nested so deep
    that reading it would need more stack than there is. Texts that are no UTF-8 raise UnicodeDecodeError.
    """
    try:
        return json_decoder(kind).decode(data)
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deep") from error


def from_msgpack(data: bytes, kind: type[T]) -> T:
    """Return MessagePack as ``kind``. Raises as :func:`from_json` does."""
    return msgpack_decoder(kind).decode(data)


def convert(value: object, kind: type[T], *, strict: bool = True) -> T:
    """Return plain data as ``kind``; not ``strict``: also numbers that are texts. Raises ValidationError."""
    json_decoder(kind)  # learns the type
    return msgspec.convert(value, kind, strict=strict)
