"""Random and damaged messages of OpAMP, each from a seed and its number.

They begin with messages that were recorded of other makers' programs (``recorded_opamp.json``), of which
fields are set, removed, repeated and exchanged, or bytes damaged; some begin with nothing. Uids come from a
small set, so that they are forged and doubled, or are new ones.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import struct
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from fleet.opamp.frames import to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

# Who says it.
Side = Literal["agent", "server"]
Either = AgentToServer | ServerToAgent

_RECORDED = Path(__file__).parent / "recorded_opamp.json"
# As many agents that others pretend to be.
_UIDS = 40
_INTEGERS = (0, 1, 2, 3, 127, 128, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1)
_SIGNED = (0, 1, -1, 2**31, -(2**31), 2**63 - 1, -(2**63))
_DOUBLES = (0.0, -0.0, 1.5, -1.0, 1e-300, 1e300, math.inf, -math.inf, math.nan)
_TEXTS = (
    "",
    "x",
    "\x00",
    "a\nb\r\n",
    "<script>alert(1)</script>",
    "é" * 300,
    "\U0001f600\u202e",
    "../../etc/passwd",
    "'; DROP TABLE node; --",
    '{}[]"\\',
    "http://[::1",
    "http://h:99999999/",
    "y" * 3000,
    "service.name",
    "compose-agent",
    "compose_agent.node.id",
    "compose_agent.tags",
    "compose_agent.heartbeat.interval_seconds",
    "compose_agent.listener.exporter",
    "host.id",
)
_DEEPEST = 4
_LONG_BODY = 200_000


def frame(side: Side, seed: int, number: int) -> bytes:
    """Return the payload of a WebSocket message; most are messages, the others are not."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - to be the same again, not to be secret
    ways: Sequence[tuple[float, Callable[[], bytes]]] = (
        (0.70, lambda: to_frame(_message(rng, side))),
        (0.85, lambda: _damaged(rng, to_frame(_message(rng, side)))),
        (0.90, lambda: _damaged(rng, rng.choice(_recorded(side)))),
        (0.93, lambda: _header(rng) + _message(rng, side).SerializeToString()),
        (0.96, lambda: rng.randbytes(rng.randrange(0, 300))),
        (0.98, lambda: b"\x00" + _nested(rng)),
        (0.99, lambda: to_frame(_message(rng, side)) * 2),
        (1.00, lambda: b"\x00" + _long(rng, side)),
    )
    chance = rng.random()
    return next(make for below, make in ways if chance < below)()


def body(seed: int, number: int) -> tuple[bytes, dict[str, str]]:
    """Return the body of a request and its headers, of which some say something else than the body is."""
    rng = random.Random(f"{seed} {number} body")  # noqa: S311 - as above
    data = frame("agent", seed, number)[1:]
    headers = {"content-type": rng.choice(("application/x-protobuf",) * 9 + ("text/plain",))}
    chance = rng.random()
    if chance < 0.3:
        data, headers["content-encoding"] = gzip.compress(data, 1), "gzip"
        data = _damaged(rng, data) if rng.random() < 0.3 else data
    elif chance < 0.34:
        headers["content-encoding"] = "gzip"
    elif chance < 0.345:
        data, headers["content-encoding"] = _bomb(), "gzip"
    headers["accept-encoding"] = rng.choice(("", "gzip", "gzip;q=0"))
    return data, headers


@cache
def _bomb() -> bytes:
    """Return some kilobytes that are a hundred megabytes when they are unpacked."""
    return gzip.compress(bytes(100 * 1024 * 1024), 9)


@cache
def _recorded(side: Side) -> tuple[bytes, ...]:
    frames: list[str] = json.loads(_RECORDED.read_text())[side]
    return tuple(bytes.fromhex(each) for each in frames)


@cache
def _messages(side: Side) -> tuple[bytes, ...]:
    return tuple(each[1:] for each in _recorded(side))


def _parsed(side: Side, data: bytes) -> Either:
    return AgentToServer.FromString(data) if side == "agent" else ServerToAgent.FromString(data)


def _message(rng: random.Random, side: Side) -> Either:
    message = _parsed(side, rng.choice(_messages(side)) if rng.random() < 0.9 else b"")
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        _change(rng, message, 0)
    message.instance_uid = _uid(rng)
    if isinstance(message, AgentToServer) and rng.random() < 0.5:
        message.sequence_num = rng.choice((*range(6), *_INTEGERS))
    return message


def _uid(rng: random.Random) -> bytes:
    chance = rng.random()
    if chance < 0.9:
        return b"fuzzed-agent-" + f"{rng.randrange(_UIDS):03}".encode()
    if chance < 0.97:
        return rng.randbytes(16)
    return rng.randbytes(rng.choice((0, 1, 15, 17, 300)))


def _change(rng: random.Random, message: Message, depth: int) -> None:
    """Set, clear or change one field of a message, or of one within it."""
    fields: Sequence[Any] = message.DESCRIPTOR.fields  # two kinds, by how protobuf is built
    if not fields:
        return
    one = rng.choice(fields)
    if rng.random() < 0.15:
        message.ClearField(one.name)
    elif one.is_repeated:
        _change_repeated(rng, message, one, depth)
    elif one.message_type is not None:
        below = getattr(message, one.name)
        below.SetInParent()
        if depth < _DEEPEST:
            _change(rng, below, depth + 1)
    else:
        setattr(message, one.name, _value(rng, one))


def _change_repeated(rng: random.Random, message: Message, one: FieldDescriptor, depth: int) -> None:
    values: Any = getattr(message, one.name)
    count = rng.choice((1, 1, 2, 30))
    if one.message_type is None:
        values.extend(_value(rng, one) for _ in range(count))
        return
    is_map = one.message_type.GetOptions().map_entry
    for _ in range(count):
        below = values[rng.choice(_TEXTS)] if is_map else values.add()
        if depth < _DEEPEST:
            _change(rng, below, depth + 1)


def _value(rng: random.Random, one: FieldDescriptor) -> object:
    found: object
    match one.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if one.type == FieldDescriptor.TYPE_BYTES:
            found = rng.randbytes(rng.choice((0, 1, 15, 16, 16, 17, 3000)))
        case FieldDescriptor.CPPTYPE_STRING:
            found = rng.choice(_TEXTS)
        case FieldDescriptor.CPPTYPE_BOOL:
            found = rng.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE:
            found = rng.choice(_DOUBLES)
        case FieldDescriptor.CPPTYPE_INT64:
            found = rng.choice(_SIGNED)
        case FieldDescriptor.CPPTYPE_ENUM:
            found = rng.choice((0, 1, 2, 3, 77))
        case _:
            found = rng.choice(_INTEGERS)
    return found


def _header(rng: random.Random) -> bytes:
    return rng.choice((b"", b"\x01", b"\x80\x00", b"\x80" * 10, b"\xff" * 9 + b"\x01", b"\x0a"))


def _nested(rng: random.Random) -> bytes:
    """Return a message with a tree of health, or a list of attributes, that goes down without an end."""
    data = b""
    for _ in range(rng.choice((5, 90, 110, 2000))):
        entry = b"\x0a\x01a\x12" + _varint(len(data)) + data  # key "a", value: what is below
        data = b"\x32" + _varint(len(entry)) + entry
    return b"\x0a\x10" + _uid(rng)[:16].ljust(16, b"u") + b"\x2a" + _varint(len(data)) + data


def _long(rng: random.Random, side: Side) -> bytes:
    """Return a message with one very long text, or with very many short ones."""
    message = _parsed(side, _messages(side)[0])
    if isinstance(message, AgentToServer):
        message.instance_uid = _uid(rng)
        if rng.random() < 0.5:
            message.effective_config.config_map.config_map["long"].body = bytes(_LONG_BODY)
        else:
            for number in range(3000):
                message.health.component_health_map[f"part-{number}"].status = "x"
    else:
        message.error_response.error_message = "long " * (_LONG_BODY // 5)
    return message.SerializeToString()


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _damaged(rng: random.Random, data: bytes) -> bytes:
    """Return bytes of which a few are others, are missing, come twice, or are a number that is too large."""
    found = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        if not found:
            break
        at, length = rng.randrange(len(found)), rng.randrange(1, 20)
        match rng.randrange(5):
            case 0:
                found[at] = rng.randrange(256)
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length]
            case 3:
                del found[at:]
            case _:
                found[at : at + 8] = struct.pack("<Q", rng.choice(_INTEGERS))
    return bytes(found)
