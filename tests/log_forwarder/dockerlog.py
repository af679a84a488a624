"""A writer of json-file logs that does what dockerd does: cut, rotate, compress, remove."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

from log_forwarder.sources.pieces import PIECE_BYTES
from tests.log_forwarder.making import ID, packed


class DockerLog:
    """One container's log in ``folder``; ``lines`` has stream and text of each, in the order of their ends.

    Compression is in two steps, as in dockerd: ``compress`` writes the .gz, ``finish`` removes the original.
    """

    def __init__(self, folder: Path, *, id: str = ID, max_file: int = 3, compressed: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{id}-json.log"
        self.max_file = max_file
        self.compressed = compressed
        self.lines: list[tuple[str, str]] = []
        self._clock = 0
        self._open: dict[str, tuple[int, str]] = {}
        self.path.touch()

    def line(self, text: str, stream: str = "stdout") -> None:
        """Write a line to its end, going on with one that is open."""
        number, begun = self._open.pop(stream, (0, ""))
        self._clock += 1
        number = number or self._clock
        *pieces, last = cut(text)
        for piece in pieces:
            self.append(packed(piece, number, stream))
        self.append(packed(last + "\n", number, stream))
        self.lines.append((stream, begun + text))

    def piece(self, text: str, stream: str = "stdout") -> None:
        """Write a piece of a line: 16 KiB without its end."""
        assert len(text.encode()) == PIECE_BYTES
        number, begun = self._open.get(stream, (0, ""))
        self._clock += 1
        number = number or self._clock
        self._open[stream] = (number, begun + text)
        self.append(packed(text, number, stream))

    def crash(self) -> None:
        """End the process that writes: open lines stay without an end."""
        for stream, (_, begun) in self._open.items():
            self.lines.append((stream, begun))
        self._open.clear()

    def append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def rotate(self, *, finish: bool = True) -> None:
        """Rotate as moby's loggerutils does, once the last compression is done; ``finish`` does this one."""
        self.compress()
        self.finish()
        if self.max_file == 1:
            self.path.unlink()
        else:
            ending = ".gz" if self.compressed else ""
            for number in range(self.max_file - 1, 1, -1):
                older = self._numbered(number - 1, ending)
                if older.exists():
                    older.rename(self._numbered(number, ending))
            self.path.rename(self._numbered(1))
        self.path.touch()
        if finish:
            self.compress()
            self.finish()

    def compress(self) -> None:
        original = self._numbered(1)
        if self.compressed and original.exists():
            with original.open("rb") as source, gzip.open(self._numbered(1, ".gz"), "wb") as target:
                shutil.copyfileobj(source, target)

    def finish(self) -> None:
        original = self._numbered(1)
        if self.compressed and original.exists() and self._numbered(1, ".gz").exists():
            original.unlink()

    def truncate(self, size: int = 0) -> None:
        os.truncate(self.path, size)

    def remove(self) -> None:
        shutil.rmtree(self.path.parent)

    def _numbered(self, number: int, ending: str = "") -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{ending}")


def cut(text: str) -> list[str]:
    """Cut a line as moby's copier does, which is at whole pieces; texts here are one byte a character."""
    assert text.isascii()
    return [text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES)] + (
        [""] if len(text) % PIECE_BYTES == 0 else []
    )
