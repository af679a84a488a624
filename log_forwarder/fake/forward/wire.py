"""The server's side of the Fluent forward protocol v1: login, messages, entries, acknowledgements."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

# Far above what clients send; Fluent Bit itself takes 6,144,000 bytes.
_MOST_MESSAGE_BYTES = 64 * 1024 * 1024
_NONCE_BYTES = 16
_EVENT_TIME = 0
_SECOND_NS = 1_000_000_000

Unpacked = list[tuple[int, Any]]


class HandshakeFailed(Exception):
    """The client did not prove the shared key or the user, or is not wanted."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What came in one message; ``ack`` is the answer that it asks for, ``size`` the count that it names.

    ``body`` is packed as its ``compressed`` says; ``entries`` are there instead for the other modes.
    """

    tag: str
    body: bytes
    compressed: str
    entries: list[Any] | None
    size: int | None
    ack: bytes


class Session:
    """The messages of one connection."""

    def __init__(self, connection: socket.socket, read_bytes: int) -> None:
        self._connection = connection
        self._read_bytes = read_bytes
        # Raw, because bodies may travel as strings.
        self._unpacker = msgpack.Unpacker(raw=True, strict_map_key=False, max_buffer_size=_MOST_MESSAGE_BYTES)

    def messages(self) -> Iterator[Any]:
        """Yield messages until the client closes; raises OSError, and ValueError for what is none."""
        while True:
            try:
                yield from self._unpacker
            except msgpack.UnpackException as error:
                raise ValueError("not msgpack") from error
            data = self._connection.recv(self._read_bytes)
            if not data:
                return
            self._unpacker.feed(data)

    def log_in(self, host: str, key: str, users: Mapping[str, str] | None, refusal: str) -> None:
        """Send HELO, check the PING, answer with PONG; raises HandshakeFailed."""
        nonce, auth = os.urandom(_NONCE_BYTES), os.urandom(_NONCE_BYTES) if users else b""
        self._send(["HELO", {"nonce": nonce, "auth": auth, "keepalive": True}])
        match next(self.messages(), None):
            case [b"PING", bytes(client), bytes(salt), bytes(proof), bytes(user), bytes(secret)]:
                pass
            case _:
                raise HandshakeFailed("no PING")
        reason = refusal
        if proof != digest(salt, client, nonce, key.encode()):
            reason = reason or "shared key mismatch"
        elif users and secret != digest(auth, user, users.get(user.decode(), "").encode()):
            reason = reason or "username/password mismatch"
        if reason:
            self._send(["PONG", False, reason, "", ""])
            raise HandshakeFailed(reason)
        self._send(["PONG", True, "", host, digest(salt, host.encode(), nonce, key.encode()).decode()])

    def _send(self, message: list[Any]) -> None:
        self._connection.sendall(msgpack.packb(message))


def digest(*parts: bytes) -> bytes:
    """Return SHA-512 of the parts as hexadecimal digits."""
    return hashlib.sha512(b"".join(parts)).hexdigest().encode()


def chunks(message: Any) -> Iterator[Chunk]:
    """Yield what is in a message, in any of the modes; nothing for nil, which is a heartbeat."""
    match message:
        case None:
            return
        case [bytes(tag), bytes(body), *option]:
            options = _options(option)
            yield _chunk(tag, options, body=body)
        case [bytes(tag), list(entries), *option]:
            yield _chunk(tag, _options(option), entries=entries)
        case [bytes(tag), time, record, *option]:
            yield _chunk(tag, _options(option), entries=[[time, record]])
        case _:
            raise ValueError("not a message of the forward protocol")


def _options(option: list[Any]) -> dict[bytes, Any]:
    return option[0] if option and isinstance(option[0], dict) else {}


def _chunk(
    tag: bytes, options: dict[bytes, Any], *, body: bytes = b"", entries: list[Any] | None = None
) -> Chunk:
    chunk = options.get(b"chunk")
    return Chunk(
        tag.decode(),
        body,
        options.get(b"compressed", b"").decode(),
        entries,
        options.get(b"size"),
        b"" if chunk is None else msgpack.packb({"ack": chunk.decode()}),
    )


def unpacked(chunk: Chunk) -> Unpacked:
    """Return the entries of a chunk as times in nanoseconds and records; ValueError for what is none."""
    if chunk.entries is not None:
        # The message was read raw; entries are text again after a second round.
        body = msgpack.packb(chunk.entries, use_bin_type=False)
        entries: Any = msgpack.unpackb(body, raw=False, strict_map_key=False)
    else:
        reader = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
        reader.feed(_decompressed(chunk))
        entries = reader
    return [(_nanoseconds(time), record) for time, record in entries]


def _decompressed(chunk: Chunk) -> bytes:
    match chunk.compressed:
        case "" | "text":
            return chunk.body
        case "gzip":
            return gzip.decompress(chunk.body)  # of all members
    raise ValueError(f"unknown compression {chunk.compressed}")


def _nanoseconds(time: Any) -> int:
    match time:
        case msgpack.ExtType(code=code, data=data) if code == _EVENT_TIME and len(data) == 8:
            return int.from_bytes(data[:4], "big") * _SECOND_NS + int.from_bytes(data[4:], "big")
        case int() | float():
            return int(time * _SECOND_NS)
    raise ValueError("not a time")
