"""Batches to PackedForward messages, as pure functions.

The time of an event is spliced with what is constant for its container and stream, and one call packs the
texts of a whole parcel between these pieces: ``[time + head, log, key, id, time + head, …]`` as an array of
msgpack whose header is then left out. A line of 200 bytes costs about 0.6 µs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from log_forwarder.event import Event
from log_forwarder.sinks.contract import Parcel
from log_forwarder.sinks.fluentd.pieces import pieces
from log_forwarder.sinks.fluentd.shapes import Shape
from log_forwarder.sinks.fluentd.times import EVENT_TIME, FULL_LENGTH, SECOND_END, event_time, seconds

# Fluent Bit closes the connection at messages above 6,144,000 bytes (Buffer_Max_Size of in_forward).
MOST_PAYLOAD_BYTES = 4 * 1024 * 1024

# The array [time, record] of an entry, and its beginning up to the value of the time.
_PAIR = b"\x92"
_ENTRY = _PAIR + EVENT_TIME
_ID_KEY = msgspec.Raw(msgspec.msgpack.encode("event_id"))
_encoder = msgspec.msgpack.Encoder()
# What half a surrogate pair, a number beyond 64 bits, an unknown type and very deep nesting raise.
_UNPACKABLE = (ValueError, OverflowError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Compression:
    """How payloads are compressed: the protocol's name for it, empty for none, and the function."""

    name: str
    compress: Callable[[memoryview], bytes]


@dataclass(frozen=True, slots=True)
class Run:
    """Events of one container in their order."""

    shape: Shape
    events: Sequence[Event]


def parcels(tag: str, runs: Sequence[Run], compression: Compression) -> list[Parcel]:
    """Return messages of at most ``MOST_PAYLOAD_BYTES`` with all events of ``runs``, in order."""
    payload = payload_of(runs)
    count = sum(len(run.events) for run in runs)
    if len(payload) <= MOST_PAYLOAD_BYTES:
        return [_parcel(tag, runs, payload, count, compression)] if count else []
    if count == 1:
        return _cut(tag, next(run for run in runs if run.events), compression)
    return [each for half in _halves(runs, count) for each in parcels(tag, half, compression)]


def payload_of(runs: Sequence[Run]) -> memoryview:
    """Return the entries ``[time, record]`` one behind the other."""
    flat: list[msgspec.Raw | str] = []
    try:
        for run in runs:
            _flatten(run.shape, run.events, flat)
        packed = _encoder.encode(flat)
    except _UNPACKABLE:
        flat = [_whatever_packs(run.shape, event) for run in runs for event in run.events]
        packed = _encoder.encode(flat)
    return memoryview(packed)[_array_header_size(len(flat)) :]


def _flatten(shape: Shape, events: Sequence[Event], flat: list[msgspec.Raw | str]) -> None:
    """Add what makes up the entries of ``events``. Every line of every container passes here."""
    raw, heads, second, begin = msgspec.Raw, shape.heads, "", b""
    for event in events:
        time, stream = event.time, event.stream
        if event.fields:
            head = shape.head_with(event.fields, stream, event.attrs)
        else:
            plain = heads.get(stream) if event.attrs is None else None
            head = plain or shape.head(stream, event.attrs)
        if len(time) == FULL_LENGTH:
            if time[:SECOND_END] != second:
                second = time[:SECOND_END]
                begin = _ENTRY + seconds(second)
            moment = begin + int(time[20:29]).to_bytes(4, "big")
        else:
            moment = _PAIR + event_time(time)
        flat += (raw(moment + head), event.log, _ID_KEY, event.id)


def _whatever_packs(shape: Shape, event: Event) -> msgspec.Raw:
    """Return an entry for an event of which something may not be packed: the line itself always is."""
    record = record_of(shape, event)
    try:
        packed = _encoder.encode(_clean(record))
    except RecursionError:
        packed = _encoder.encode(_clean(record_of(shape, msgspec.structs.replace(event, fields=None))))
    return msgspec.Raw(_PAIR + event_time(event.time) + packed)


def record_of(shape: Shape, event: Event) -> dict[str, Any]:
    """Return the record of an event; what was found in the line never hides what is known of it."""
    record = dict(event.fields or {})
    if event.attrs:
        record["attrs"] = event.attrs
    record.update(shape.known)
    record.update(source=event.stream, log=event.log, event_id=event.id)
    return record


def _clean(value: Any) -> Any:
    """Return what can be packed of a value: halves of surrogate pairs replaced, huge numbers as text."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_clean(str(key)): _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case bool() | float() | None:
            return value
        case int() if -(2**63) <= value < 2**64:
            return value
    return str(value)


def _halves(runs: Sequence[Run], count: int) -> tuple[list[Run], list[Run]]:
    first: list[Run] = []
    second: list[Run] = []
    room = count // 2
    for run in runs:
        first.append(Run(run.shape, run.events[:room]))
        second.append(Run(run.shape, run.events[room:]))
        room = max(0, room - len(run.events))
    return first, second


def _cut(tag: str, run: Run, compression: Compression) -> list[Parcel]:
    """Return parcels with the pieces of one event that is too big for any."""
    single = [Run(run.shape, [piece]) for piece in pieces(run.events[0])]
    return [_parcel(tag, [each], payload_of([each]), 1, compression) for each in single]


def _parcel(
    tag: str, runs: Sequence[Run], payload: memoryview, count: int, compression: Compression
) -> Parcel:
    chunk = chunk_id(tag, runs, payload)
    option: dict[str, Any] = {"size": count, "chunk": chunk}
    body: memoryview | bytes = payload
    if compression.name:
        option["compressed"] = compression.name
        body = compression.compress(payload)
    size = len(body).to_bytes(4, "big")
    # [tag, bin 32, option]
    data = b"".join((b"\x93", _encoder.encode(tag), b"\xc6", size, body, _encoder.encode(option)))
    return Parcel(chunk, data)


def chunk_id(tag: str, runs: Sequence[Run], payload: memoryview) -> str:
    """Return an id that is the same whenever the same events are sent together, and never else.

    The ids of the events say what is in a payload, at a fifth of its size; events without an id do not.
    """
    ids = [event.id for run in runs for event in run.events]
    content = "\n".join((tag, *ids)).encode("utf-8", "replace") if all(ids) else payload
    return base64.b64encode(hashlib.blake2b(content, digest_size=16).digest()).decode()


def _array_header_size(length: int) -> int:
    if length < 16:
        return 1
    return 3 if length < 2**16 else 5
