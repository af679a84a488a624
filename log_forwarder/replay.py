"""Sending dead letters again, once what was wrong with them or with the sink is mended."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import msgspec

from compose_agent.dockerd.model import Container
from compose_agent.errors import ComposeAgentError
from compose_agent.typed import from_json
from log_forwarder.beingsent import alone, lines, replacing, taken
from log_forwarder.couriers import courier_for
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.outbox import Outbox, Tally
from log_forwarder.sinks import make_sink
from log_forwarder.sinks.contract import SinkContext
from log_forwarder.sinks.word import SinkWord
from log_forwarder.transforms.patterns import Pattern

# A sink that takes nothing for so long is given up; what is left stays in the file.
PATIENCE_SECONDS = 60.0
# Letters in memory at a time: as much as a lane reads ahead. The last one may go beyond it.
PORTION_BYTES = 8 * 1024 * 1024
_BATCH_EVENTS = 500
_EVERYTHING = 2**40
# How often it is looked whether a sink takes anything.
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the letters."""

    sent: int = 0
    refused: int = 0
    left: int = 0
    dropped: int = 0  # of no use to their sink any more


class _Described(msgspec.Struct):
    """What a letter says of its container."""

    id: str
    name: str
    image: str
    labels: dict[str, str]


class _Letter(msgspec.Struct):
    """One line of the dead letters."""

    sink: str
    event: Event
    container: _Described
    line: bytes = b""


def replay(
    state_dir: Path,
    words: Sequence[SinkWord],
    run_dir: Path | None = None,
    triggers: Mapping[str, Pattern] | None = None,
    *,
    patience: float = PATIENCE_SECONDS,
    portion_bytes: int = PORTION_BYTES,
) -> Outcome:
    """Send the letters of ``words`` again; those of other sinks stay. Raises ComposeAgentError.

    ``run_dir`` and ``triggers`` are those of :class:`~log_forwarder.sinks.contract.SinkContext`. A sink that
    takes nothing for ``patience`` seconds is given up.
    """
    host = socket.gethostname()
    contexts = [(word, SinkContext(word.name, host, state_dir, run_dir, triggers or {})) for word in words]
    with alone(state_dir):
        deliveries = {word.name: _Delivery(context, word, patience) for word, context in contexts}
        try:
            if (path := taken(state_dir)) is None:
                return Outcome()
            left = _send_all(path, deliveries, portion_bytes)
        except OSError as error:
            raise ComposeAgentError(
                f"the dead letters in {state_dir} cannot be read or replaced ({error.strerror})",
                remedy="none is lost; look at the disk and the permissions, and try again",
            ) from error
        finally:
            tallies = [delivery.end() for delivery in deliveries.values()]
    return Outcome(
        sent=sum(each.sent for each in tallies),
        refused=sum(each.dead_lettered for each in tallies),
        left=left,
        dropped=sum(each.dropped.total() for each in tallies),
    )


def _send_all(path: Path, deliveries: Mapping[str, _Delivery], portion_bytes: int) -> int:
    """Replace a file by those of its letters that no sink has taken, and return their number."""
    left = 0
    with replacing(path) as keep:
        for portion in _portions(path, portion_bytes):
            for letter in _send(portion, deliveries):
                keep(letter.line)
                left += 1
    return left


def _send(portion: Sequence[_Letter], deliveries: Mapping[str, _Delivery]) -> list[_Letter]:
    """Return the letters that no sink has taken, in their order."""
    left = {id(letter) for letter in portion if letter.sink not in deliveries}
    for name, delivery in deliveries.items():
        mine = [letter for letter in portion if letter.sink == name]
        left.update(id(letter) for letter in delivery.send(mine))
    return [letter for letter in portion if id(letter) in left]


class _Owner:
    """Owns the batches of one portion, and knows which are not settled."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: set[int] = set()

    def expect(self, batches: Iterable[Batch]) -> None:
        self._open.update(id(batch) for batch in batches)

    def settled(self, batch: Batch) -> None:
        with self._changed:
            self._open.discard(id(batch))
            self._changed.notify_all()

    def has(self, batch: Batch) -> bool:
        return id(batch) in self._open

    def wait(self, seconds: float) -> bool:
        """Tell whether all are settled, as soon as they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, seconds)


class _Delivery:
    """Takes letters to one sink, portion by portion, until it takes nothing for too long."""

    def __init__(self, context: SinkContext, word: SinkWord, patience: float) -> None:
        self._patience = patience
        self._outbox = Outbox(_EVERYTHING)
        self._stop, self._abandon = threading.Event(), threading.Event()
        # Without a limit: what is refused once more was within it before.
        letters = DeadLetters(context.state_dir)
        sink = make_sink(word, context)
        self._courier = courier_for(word.name, sink, self._outbox, letters, self._abandon)
        self._thread = threading.Thread(target=self._courier.run, args=(self._stop,), daemon=True)
        self._thread.start()

    def send(self, letters: Sequence[_Letter]) -> list[_Letter]:
        """Return those that the sink gave no answer to."""
        if self._abandon.is_set():
            return list(letters)
        groups = list(_groups(letters))
        owner = _Owner()
        batches = [_batch(group, owner) for group in groups]
        owner.expect(batches)
        for batch in batches:
            self._outbox.put(batch, 0)
        if not self._settled(owner):
            self._give_up()
        pairs = zip(groups, batches, strict=True)
        return [letter for group, batch in pairs if owner.has(batch) for letter in group]

    def end(self) -> Tally:
        """Return what became of the letters; nothing more is sent."""
        self._outbox.close()
        self._stop.set()
        self._give_up()
        return self._outbox.tally()

    def _settled(self, owner: _Owner) -> bool:
        """Wait until the sink has taken everything, or nothing for too long."""
        begin = time.monotonic()
        while not owner.wait(min(_LOOK_SECONDS, self._patience)):
            if time.monotonic() - max(begin, self._courier.health.last_success) > self._patience:
                return False
        return True

    def _give_up(self) -> None:
        self._abandon.set()
        self._thread.join()


def _portions(path: Path, most_bytes: int) -> Iterator[list[_Letter]]:
    portion: list[_Letter] = []
    size = 0
    for line in lines(path):
        portion.append(_letter(line))
        size += len(line)
        if size >= most_bytes:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _groups(letters: Sequence[_Letter]) -> Iterator[list[_Letter]]:
    """Yield letters that follow one another and are of one container."""
    for _, group in groupby(letters, key=lambda letter: letter.container.id):
        together = list(group)
        for start in range(0, len(together), _BATCH_EVENTS):
            yield together[start : start + _BATCH_EVENTS]


def _batch(letters: Sequence[_Letter], owner: _Owner) -> Batch:
    described = letters[0].container
    container = Container(
        id=described.id,
        name=described.name,
        image=described.image,
        image_id="",
        state="dead",
        labels=described.labels,
    )
    events = [letter.event for letter in letters]
    return Batch(container, events, 0, Position(Mark("", 0)), owner, again=True)


def _letter(line: bytes) -> _Letter:
    """Return a letter; one that a power failure tore belongs to no sink, and so stays."""
    try:
        letter = from_json(line, _Letter)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        letter = _Letter("", Event("", "", ""), _Described("", "", "", {}))
    letter.line = line
    return letter
