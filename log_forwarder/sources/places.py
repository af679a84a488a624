"""Where a reader of the Engine's logs API stands, and lines out of what it reads.

The API knows no offsets. What it has is the time of each line in nanoseconds, which does not fall within a
stream as long as the clock does not; of several lines of a stream with the same time the second has the
ordinal 1. Stream, time and ordinal are a line's identity, the same whenever it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from compose_agent.dockerd.logstream import Piece
from log_forwarder.event import Event, Mark, Position
from log_forwarder.sources.pieces import Joiner, text_of

GENERATION = "api"
STREAMS = ("stdout", "stderr")
_NAME_LENGTH = len(GENERATION) + 2
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a stream: everything before ``nanos`` is done, and ``done`` lines of that very time."""

    nanos: int
    done: int = 0


def position_of(since: int, places: Mapping[str, Place]) -> Position:
    """Return the position from which a restart goes on: it asks from ``since`` on, for each stream.

    The place of a stream stands where otherwise an open line does, its count in the generation's name.
    """
    held = ((stream, Mark(_name(stream, each.done), each.nanos)) for stream, each in places.items())
    return Position(Mark(GENERATION, since), tuple(held))


def places_of(position: Position | None) -> dict[str, Place]:
    """Return the places in a position; none in one that is not of the API, such as one in files."""
    if position is None or position.mark.generation != GENERATION:
        return {}
    return {stream: _place(mark) for stream, mark in position.held}


def _place(mark: Mark) -> Place:
    return Place(mark.offset, int(mark.generation[_NAME_LENGTH:]))


def _name(stream: str, ordinal: int) -> str:
    """Return what stands for a generation in ids and marks: ``api-o0`` for stdout, ``api-e0`` for stderr."""
    return f"{GENERATION}-{stream[3]}{ordinal}"


class Nanos:
    """Turns times of the API into Unix nanoseconds; a second is worked out once."""

    def __init__(self) -> None:
        self._text = ""
        self._second = 0

    def of(self, text: str) -> int:
        """Return the nanoseconds for ``2026-01-02T03:04:05.123456789Z``."""
        if text[:19] != self._text:
            self._second = int(datetime.fromisoformat(text[:19] + "+00:00").timestamp()) * _SECOND_NS
            self._text = text[:19]
        return self._second + int(text[20:29])


@dataclass(slots=True)
class _Latest:
    """The latest line of a stream: its time, and how many lines of that time have begun."""

    nanos: int = -1
    begun: int = 0


class Lines:
    """Joins the pieces of one container into lines, leaves out those that are done, and knows the place.

    ``missed`` counts streams in which the line at the place was not found again although it was asked for.
    """

    def __init__(self, short_id: str, position: Position | None) -> None:
        self.missed = 0
        self._short_id = short_id
        self._joiner = Joiner()
        self._latest: dict[str, _Latest] = {}
        self._places = places_of(position)
        self._before = dict(self._places)  # streams that are not read up to their places yet
        self._asked = position.mark.offset if self._places and position else 0
        self._since = self._asked

    def take(self, piece: Piece, nanos: int) -> list[Event]:
        """Return the lines that a piece completes, in their order, with ids."""
        data = piece.data
        ends = data.endswith(b"\n")
        event = Event(text_of(data[:-1] if ends else data, ends=ends), piece.stream, piece.time)
        name = _name(piece.stream, self._ordinal(piece.stream, nanos))
        lines = self._joiner.join([event], [nanos], name, f"{self._short_id}.{name}.")
        if self._before:
            lines = [line for line in lines if self._is_new(line)]
        if piece.stream not in self._before:
            self._since = nanos
        return lines

    def flush(self) -> list[Event]:
        """Return what is left of lines that nobody will end."""
        return [line for line in self._joiner.flush() if self._is_new(line)]

    def open(self) -> bool:
        """Tell whether there is a line without its end."""
        return bool(self._joiner.held())

    def position(self, held_back: Iterable[tuple[str, Mark]] = ()) -> Position:
        """Return the position behind everything that was returned, and before what is held back."""
        # What is held back came before what is not complete yet.
        held = dict(self._joiner.held()) | dict(held_back)
        for stream, latest in self._latest.items():
            if stream not in self._before:
                open_ = held.get(stream)
                self._places[stream] = _place(open_) if open_ else Place(latest.nanos, latest.begun)
        # All pieces of a line have its time: what is open must be asked for from its beginning on.
        return position_of(min([self._since, *(mark.offset for mark in held.values())]), self._places)

    def _ordinal(self, stream: str, nanos: int) -> int:
        """Return the ordinal of the line that a piece belongs to."""
        latest = self._latest.setdefault(stream, _Latest())
        if latest.nanos != nanos:
            latest.nanos, latest.begun = nanos, 1
        elif stream not in dict(self._joiner.held()):
            latest.begun += 1
        return latest.begun - 1

    def _is_new(self, line: Event) -> bool:
        """Tell whether a line lies behind the place of its stream."""
        place = self._before.get(line.stream)
        if place is None:
            return True
        _, which, at = line.id.split(".")
        nanos, ordinal = int(at, 16), int(which[_NAME_LENGTH:])
        new = (nanos, ordinal) >= (place.nanos, place.done)
        if new or (nanos, ordinal) == (place.nanos, place.done - 1):
            del self._before[line.stream]
        if new and place.done and place.nanos >= self._asked:
            self.missed += 1
        return new
