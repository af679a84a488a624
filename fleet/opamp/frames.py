"""Messages as they travel: behind a header on WebSocket, alone in the body over HTTP."""

from __future__ import annotations

import zlib
from typing import TypeVar

from google.protobuf.message import DecodeError

from compose_agent.errors import ComposeAgentError
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

M = TypeVar("M", AgentToServer, ServerToAgent)

# What one message may have, unpacked. A whole configuration of an agent is some tens of KiB; the
# specification recommends at most 64 MiB, which ten thousand agents could not all send.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
CONTENT_TYPE = "application/x-protobuf"
# The only header there is: the number 0 as a protobuf varint.
_HEADER = b"\x00"
_GZIP = 16 + zlib.MAX_WBITS


class MalformedMessage(ComposeAgentError):
    """Bytes that are no message of OpAMP."""


class OversizeMessage(MalformedMessage):
    """More bytes than a message may have."""


def to_frame(message: AgentToServer | ServerToAgent) -> bytes:
    """Return the payload of a binary WebSocket message."""
    return _HEADER + message.SerializeToString()


def from_frame(kind: type[M], data: bytes) -> M:
    """Return the message in the payload of a binary WebSocket message; raises MalformedMessage."""
    if data[:1] != _HEADER:
        raise MalformedMessage("a message begins with a header other than 0")
    return from_body(kind, data[1:])


def from_body(kind: type[M], data: bytes) -> M:
    """Return the message that ``data`` is; raises MalformedMessage."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise OversizeMessage(f"a message has {len(data)} bytes, {MAX_MESSAGE_BYTES} are allowed")
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise MalformedMessage("a message cannot be decoded as protobuf") from error
    return message


def unpacked(data: bytes) -> bytes:
    """Return what a gzip body holds, never more than a message may have; raises MalformedMessage."""
    stream = zlib.decompressobj(_GZIP)
    try:
        found = stream.decompress(data, MAX_MESSAGE_BYTES + 1)
    except zlib.error as error:
        raise MalformedMessage("a body is not gzip, as its header says") from error
    if len(found) > MAX_MESSAGE_BYTES:
        raise OversizeMessage(f"a message unpacks to more than {MAX_MESSAGE_BYTES} bytes")
    if not stream.eof:
        raise MalformedMessage("a gzip body ends too early")
    return found
