"""The audit's chain of hashes: each entry's covers the one before, so that no entry can change unseen.

The hash of an entry is SHA-256 over the hash of the entry before it (32 zero bytes for the first) and the
entry's body: canonical JSON, with sorted keys and without spaces, of everything it says. Old entries are cut
from the front in whole parts. The last one that is cut becomes the *anchor*: its number and hash are kept,
and an entry of kind ``cut`` names them, so that the chain itself says where it begins.

Whoever can write the file can make a whole new chain. Who wants proof against that too keeps the number and
the hash of the newest entry somewhere else, now and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from compose_agent.typed import convert, json_decoder

FIRST_HASH = bytes(32)
CUT = "cut"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the audit; ``hash`` is in hexadecimal digits.

    ``subjects`` are ids by what they are: ``fingerprint``, ``alert``, ``episode``, ``intent``, ``container``,
    ``service``, ``group``. ``fields`` are those of the kind.
    """

    seq: int
    at: float
    kind: str
    subjects: dict[str, str]
    fields: dict[str, Any]
    hash: str


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry says; what its hash covers."""

    seq: int
    at: float
    kind: str
    subjects: dict[str, str]
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it lies in the table; bytes of ``body`` that are no UTF-8 are escaped as surrogates."""

    seq: int
    at: float
    kind: str
    body: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last entry that was cut, or what stands before the first one."""

    seq: int = 0
    hash: bytes = FIRST_HASH


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking the chain came to: how many entries hold, and the first one that does not (0: all do)."""

    entries: int
    last: Anchor
    broken: int = 0
    why: str = ""


class _CutFields(msgspec.Struct, frozen=True):
    """What an entry of kind ``cut`` says."""

    through: int
    hash: str


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = json_decoder(_Body)


def linked(before: Anchor, at: float, kind: str, subjects: dict[str, str], fields: dict[str, Any]) -> Row:
    """Return the entry that comes after another one."""
    body = _Body(seq=before.seq + 1, at=at, kind=kind, subjects=subjects, fields=fields)
    encoded = _encoder.encode(body)
    return Row(body.seq, at, kind, encoded.decode(), _hash(before.hash, encoded))


def entry_of(row: Row) -> Entry:
    """Return what a row says; raises msgspec.DecodeError when it is damaged."""
    body = _decoder.decode(row.body)
    return Entry(
        seq=row.seq,
        at=body.at,
        kind=body.kind,
        subjects=body.subjects,
        fields=body.fields,
        hash=row.hash.hex(),
    )


def checked(anchor: Anchor, rows: Iterable[Row]) -> Verdict:
    """Check entries in their order against the anchor before them, up to the first that is not as it was."""
    last = anchor
    cut: Anchor | None = None
    for row in rows:
        if why := _wrong(last, row):
            return Verdict(last.seq - anchor.seq, last, last.seq + 1, why)
        last = Anchor(row.seq, row.hash)
        if row.kind == CUT:
            cut = _cut(row)
    if anchor.seq and cut != anchor:
        why = f"the entries up to {anchor.seq} are gone, and no entry says that they were cut"
        return Verdict(last.seq - anchor.seq, last, anchor.seq + 1, why)
    return Verdict(last.seq - anchor.seq, last)


def cut_fields(anchor: Anchor) -> dict[str, Any]:
    """Return what the entry that announces a cut says."""
    return {"through": anchor.seq, "hash": anchor.hash.hex()}


def _cut(row: Row) -> Anchor | None:
    try:
        fields = convert(_decoder.decode(row.body).fields, _CutFields)
        return Anchor(fields.through, bytes.fromhex(fields.hash))
    except (msgspec.ValidationError, ValueError):
        return None


def _wrong(before: Anchor, row: Row) -> str:
    if row.seq != before.seq + 1:
        return f"entry {before.seq + 1} is missing"
    if _hash(before.hash, row.body.encode("utf-8", "surrogateescape")) != row.hash:
        return f"entry {row.seq} is not what was written"
    try:
        body = _decoder.decode(row.body)
    except msgspec.DecodeError:
        return f"entry {row.seq} is no entry"
    if (body.seq, body.at, body.kind) != (row.seq, row.at, row.kind):
        return f"number, time or kind of entry {row.seq} is not what was written"
    return ""


def _hash(before: bytes, body: bytes) -> bytes:
    return hashlib.sha256(before + body).digest()
