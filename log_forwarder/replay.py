"""Sending dead letters again, once what was wrong with them or with the sink is mended."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from compose_agent.dockerd.model import Container
from compose_agent.errors import ComposeAgentError
from log_forwarder.couriers import courier_for
from log_forwarder.deadletters import FILE_NAME, DeadLetters
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.outbox import Outbox
from log_forwarder.sinks import make_sink
from log_forwarder.sinks.contract import Sink, SinkContext
from log_forwarder.sinks.word import SinkWord

# While they are sent again they lie here, so that a kill in between loses none.
BEING_SENT = "dead-letters.being-sent.ndjson"
_MOVING = "dead-letters.moving.ndjson"
# A sink that takes nothing for so long is given up; what is left stays in the file.
PATIENCE_SECONDS = 60.0
_BATCH_EVENTS = 500
_EVERYTHING = 2**40


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the letters."""

    sent: int = 0
    refused: int = 0
    left: int = 0


class Letter(msgspec.Struct):
    """One line of the dead letters."""

    sink: str
    event: Event
    container: dict[str, Any]
    line: bytes = b""


def replay(state_dir: Path, words: Sequence[SinkWord]) -> Outcome:
    """Send the letters of ``words`` again; those of other sinks stay. Raises ComposeAgentError."""
    sinks = {word.name: word for word in words}
    with alone(state_dir):
        path = _taken(state_dir)
        if path is None:
            return Outcome()
        letters = [_letter(line) for line in _whole(path).splitlines() if line]
        left = [letter for letter in letters if letter.sink not in sinks]
        sent = refused = 0
        for name, word in sinks.items():
            mine = [letter for letter in letters if letter.sink == name]
            done, dead, rest = _send(state_dir, word, mine)
            sent, refused, left = sent + done, refused + dead, left + rest
        _put_back(path, left)
        return Outcome(sent, refused, len(left))


class _Counting:
    """Owns the batches of a replay, and knows which are settled."""

    def __init__(self) -> None:
        self.done: set[int] = set()

    def settled(self, batch: Batch) -> None:
        self.done.add(id(batch))


def _send(state_dir: Path, word: SinkWord, letters: Sequence[Letter]) -> tuple[int, int, list[Letter]]:
    """Return how many were sent and refused, and what the sink gave no answer to."""
    if not letters:
        return 0, 0, []
    owner = _Counting()
    groups = list(_groups(letters))
    batches = [_batch(group, owner) for group in groups]
    outbox = Outbox(_EVERYTHING)
    for batch in batches:
        outbox.put(batch, 0)
    outbox.close()
    sink = make_sink(word, SinkContext(word.name, socket.gethostname(), state_dir))
    _run(word.name, sink, outbox, DeadLetters(state_dir))
    tally = outbox.tally()
    rest = [
        letter
        for group, batch in zip(groups, batches, strict=True)
        if id(batch) not in owner.done
        for letter in group
    ]
    return tally.sent, tally.dead_lettered, rest


def _run(name: str, sink: Sink, outbox: Outbox, letters: DeadLetters) -> None:
    abandon = threading.Event()
    courier = courier_for(name, sink, outbox, letters, abandon)
    stop = threading.Event()
    stop.set()
    thread = threading.Thread(target=courier.run, args=(stop,), daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    abandon.set()
    thread.join()


def _groups(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    """Yield letters that follow one another and are of one container."""
    for _, group in groupby(letters, key=lambda letter: letter.container["id"]):
        together = list(group)
        for start in range(0, len(together), _BATCH_EVENTS):
            yield together[start : start + _BATCH_EVENTS]


def _batch(letters: Sequence[Letter], owner: _Counting) -> Batch:
    described = letters[0].container
    container = Container(
        id=described["id"],
        name=described["name"],
        image=described["image"],
        image_id="",
        state="dead",
        labels=described["labels"],
    )
    events = [letter.event for letter in letters]
    return Batch(container, events, 0, Position(Mark("", 0)), owner, again=True)


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


def _taken(state_dir: Path) -> Path | None:
    """Move the letters aside, behind those that an earlier replay did not come to."""
    letters, aside = state_dir / FILE_NAME, state_dir / BEING_SENT
    if letters.exists() and aside.exists():
        letters.rename(state_dir / _MOVING)
    elif letters.exists():
        letters.rename(aside)
    if (moving := state_dir / _MOVING).exists():
        # A kill before the last step leaves letters in both: they are sent twice, and not lost.
        _write_whole(aside, _whole(aside) + _whole(moving))
        moving.unlink()
    return aside if aside.exists() else None


def _whole(path: Path) -> bytes:
    """Return the content of a file that was moved aside, when nobody writes to it any more."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return file.read()


def _letter(line: bytes) -> Letter:
    """Return a letter; one that a power failure tore belongs to no sink, and so stays."""
    try:
        letter = msgspec.json.decode(line, type=Letter)
    except msgspec.DecodeError:
        letter = Letter("", Event("", "", ""), {})
    letter.line = line
    return letter


def _put_back(path: Path, letters: Iterable[Letter]) -> None:
    """Replace the file by what is left, or remove it."""
    kept = b"".join(letter.line + b"\n" for letter in letters)
    if not kept:
        path.unlink()
        return
    _write_whole(path, kept)


def _write_whole(path: Path, content: bytes) -> None:
    """Replace a file by another content, on disk and for our eyes only."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
