"""What a ``file`` sink has written, read from outside while it goes on writing."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import msgspec

from compose_agent.errors import ComposeAgentError
from compose_agent.typed import json_decoder
from log_forwarder.sinks.word import SinkWord

# A rotation while the files are read has them read again; more of them follow only where files are tiny.
_ATTEMPTS = 10
_NUMBERED = re.compile(r"\.([0-9]+)(\.gz)?")


class _Line(msgspec.Struct):
    log: str


_decode = json_decoder(_Line).decode


def written_texts(word: SinkWord, marker: str) -> Iterator[str]:
    """Yield the texts of the lines with ``marker`` in them, the oldest first; raises ComposeAgentError."""
    path, wanted = Path(word.path), marker.encode()
    try:
        for _ in range(_ATTEMPTS):
            with suppress(FileNotFoundError):  # it has another name now
                before = _chain(path)
                found = [line for file in before for line in _lines(file) if wanted in line]
                if _chain(path) == before:
                    return map(_text, found)
    except (OSError, EOFError) as error:
        raise ComposeAgentError(f"{path} and what was rotated cannot be read ({error})") from error
    raise ComposeAgentError(
        f"{path} is rotated faster than it can be read", remedy="give the sink a larger max-size"
    )


def _chain(path: Path) -> dict[Path, int]:
    """Return the files with their inodes, the oldest first; one that is being packed is there once."""
    numbered: dict[int, Path] = {}
    for each in path.parent.iterdir():
        match = _NUMBERED.fullmatch(each.name.removeprefix(path.name))
        if match and each.name.startswith(path.name) and not (match[2] and int(match[1]) in numbered):
            numbered[int(match[1])] = each
    files = [numbered[number] for number in sorted(numbered, reverse=True)]
    return {each: each.stat().st_ino for each in [*files, path] if each.exists()}


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of a file; the end of one that is being written now is left out."""
    with _opened(path) as file:
        yield from (line for line in file if line.endswith(b"\n"))


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _text(line: bytes) -> str:
    try:
        return _decode(line).log
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""  # somebody else's line
