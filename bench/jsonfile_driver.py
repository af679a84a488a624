"""What dockerd's json-file driver does with a container's output, to the byte.

From moby's daemon/logger: jsonfilelog (records and how text is escaped), copier.go (pieces of 16 KiB),
loggerutils/logfile.go (rotation before a write, compression in the background).
"""

from __future__ import annotations

import json
import os
import re
import struct
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PIECE_BYTES = 16 * 1024
_MODE = 0o640
_COPY_BYTES = 32 * 1024
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}
# The driver knows no \t; <, > and & are escaped as if for HTML, U+2028 and U+2029 as if for JavaScript.
_ESCAPED = re.compile('[\x00-\x1f\\\\"<>&\u2028\u2029]')


def escape(text: str) -> str:
    """Return text as the driver puts it between the quotes of ``log``."""
    return _ESCAPED.sub(lambda found: _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


def head(text: str, stream: str) -> bytes:
    """Return a record up to its time, which is what is the same in all records of a text."""
    return f'{{"log":"{escape(text)}","stream":"{stream}","time":"'.encode()


def time_text(second: str, nanoseconds: int) -> str:
    """Return RFC3339Nano as Go prints it: zeros at the end of the fraction are left out."""
    fraction = f".{nanoseconds:09d}".rstrip("0.")
    return f"{second}{fraction}Z"


def pieces(text: str) -> list[str]:
    """Cut a line as the copier does: full buffers, and the rest with the newline (which may stand alone)."""
    # A multi-byte character at a cut is lost in Docker; lines that are cut are ASCII here.
    cut = [text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES)]
    if not cut or len(cut[-1]) == PIECE_BYTES:
        cut.append("")
    return [*cut[:-1], f"{cut[-1]}\n"]


@dataclass(frozen=True, slots=True)
class Rotation:
    """The driver's options: 0 bytes for no limit; ``files`` counts the current one."""

    most_bytes: int = 0
    files: int = 1
    compress: bool = False

    def options(self) -> dict[str, str]:
        """Return them as they stand in hostconfig.json."""
        if not self.most_bytes:
            return {}
        chosen = {"max-size": str(self.most_bytes), "max-file": str(self.files)}
        return {**chosen, "compress": "true"} if self.compress else chosen


class JsonFileLog:
    """One container's log file, written and rotated as dockerd does it."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        self.path = path
        self.rotations = 0
        self.bytes = 0
        self._rotation = rotation
        self._descriptor = self._open(os.O_APPEND)
        self._size = os.fstat(self._descriptor).st_size
        self._packer: threading.Thread | None = None

    def write(self, records: Sequence[bytes], last_time: str) -> None:
        """Write records one after the other; those between two rotations go in one call.

        The driver looks at the size before each record, and so does this; ``last_time`` ends up in the header
        of a compressed file.
        """
        limit = self._rotation.most_bytes
        waiting: list[bytes] = []
        for record in records:
            if limit and self._size >= limit:
                self._flush(waiting)
                waiting = []
                self._rotate(last_time)
            waiting.append(record)
            self._size += len(record)
            self.bytes += len(record)
        self._flush(waiting)

    def close(self) -> None:
        """Close the file, and wait for what is being compressed."""
        os.close(self._descriptor)
        self._wait_for_packer()

    def _open(self, how: int) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, _MODE)

    def _flush(self, records: Sequence[bytes]) -> None:
        data = memoryview(b"".join(records))
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _rotate(self, last_time: str) -> None:
        self._wait_for_packer()
        os.close(self._descriptor)
        files, compress = self._rotation.files, self._rotation.compress
        if files < 2:
            self.path.unlink()
        else:
            self._shift(files, ".gz" if compress else "")
        self._descriptor = self._open(os.O_TRUNC)
        self._size = 0
        self.rotations += 1
        if compress and files > 1:
            arguments = (self._numbered(1), last_time)
            self._packer = threading.Thread(target=compress_file, args=arguments, daemon=True)
            self._packer.start()

    def _shift(self, files: int, extension: str) -> None:
        self._numbered(files - 1, extension).unlink(missing_ok=True)
        for number in range(files - 1, 1, -1):
            with suppress(FileNotFoundError):
                self._numbered(number - 1, extension).rename(self._numbered(number, extension))
        self.path.rename(self._numbered(1))

    def _wait_for_packer(self) -> None:
        if self._packer is not None:
            self._packer.join()
            self._packer = None

    def _numbered(self, number: int, extension: str = "") -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{extension}")


def compress_file(plain: Path, last_time: str) -> None:
    """Write ``plain.gz`` with Go's header and remove ``plain``; both are there until the last moment."""
    packer = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)
    extra = json.dumps({"lastTime": last_time}, separators=(",", ":")).encode()
    checksum = size = 0
    descriptor = os.open(f"{plain}.gz", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
    with plain.open("rb") as source, open(descriptor, "wb") as target:  # noqa: PTH123 - a descriptor
        # RFC 1952: FEXTRA, no time, unknown system.
        target.write(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra)
        while block := source.read(_COPY_BYTES):
            checksum, size = zlib.crc32(block, checksum), size + len(block)
            target.write(packer.compress(block))
        target.write(packer.flush() + struct.pack("<II", checksum, size & 0xFFFFFFFF))
    plain.unlink()
