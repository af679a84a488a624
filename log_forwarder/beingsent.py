"""The file of the letters that are being sent again: moved aside, read as a stream, replaced by what is left.

A kill at any moment leaves each letter in one of the files or in two: it may be sent twice, and is not lost.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from compose_agent.errors import ComposeAgentError
from log_forwarder.deadletters import FILE_NAME

# While letters are sent again they lie here …
BEING_SENT = "dead-letters.being-sent.ndjson"
# … and here when others lay there already, until they are appended to those.
_MOVING = "dead-letters.moving.ndjson"


@contextmanager
def alone(state_dir: Path) -> Iterator[None]:
    """Hold a lock, so that two replays do not send the same letters; ComposeAgentError if one runs."""
    try:
        descriptor = os.open(state_dir / "replay.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ComposeAgentError(f"the state in {state_dir} cannot be used ({error.strerror})") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ComposeAgentError("dead letters are being sent already", remedy="wait for it") from error
    finally:
        os.close(descriptor)


def taken(state_dir: Path) -> Path | None:
    """Move the letters aside, behind those that an earlier replay left; None if there are none."""
    letters, moving, aside = state_dir / FILE_NAME, state_dir / _MOVING, state_dir / BEING_SENT
    _append(moving, aside)  # of a replay that was killed before it came to that
    if letters.exists():
        letters.rename(moving)
        _append(moving, aside)
    return aside if aside.exists() else None


def lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, without their ends, once nobody writes to it any more."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for line in file:
            if text := line.rstrip(b"\n"):
                yield text


@contextmanager
def replacing(path: Path) -> Iterator[Callable[[bytes], object]]:
    """Give a function that takes the lines of a file's next content.

    It is put in place at the end of the block, on disk and for our eyes only; without lines there is no file
    any more. If the block fails all stays as it was.
    """
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield lambda line: file.write(line + b"\n")
            file.flush()
            os.fsync(descriptor)
            empty = file.tell() == 0
        if empty:
            path.unlink()
        else:
            fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _append(moving: Path, aside: Path) -> None:
    """Put the lines of one file behind those of another."""
    if moving.exists() and aside.exists():
        with replacing(aside) as keep:
            for path in (aside, moving):
                for line in lines(path):
                    keep(line)
        moving.unlink()
    elif moving.exists():
        moving.rename(aside)
