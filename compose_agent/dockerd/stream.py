"""Answers of the Engine that have no end, and its events among them, decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from compose_agent.errors import EngineGarbage, EngineUnreachable

if TYPE_CHECKING:
    from compose_agent.dockerd.answer import Answer

# An event with 64 KiB labels, several times over. A longer line is not an event.
MAX_EVENT_BYTES = 4 << 20
# So many events of all kinds together does the Engine remember; a restart of it forgets them.
REMEMBERED_EVENTS = 256


@dataclass(frozen=True, slots=True)
class Event:
    """One container event.

    ``action`` is the word alone: of ``health_status: healthy`` and ``exec_create: cmd`` only the part before
    the colon; ``detail`` is what stands behind it. ``time_ns`` is the Engine's clock.
    """

    action: str
    container_id: str
    time_ns: int
    attributes: dict[str, str]
    detail: str = ""


def parse_event(line: bytes) -> Event | None:
    """Return the event in a line of the stream, or None for one that is not about a container.

    It reads ``Type``, ``Action``, ``Actor``, ``timeNano``; ``status``, ``id`` and ``from`` went in API 1.52.
    """
    try:
        raw: Any = json.loads(line)
        if raw.get("Type") != "container":
            return None
        actor = raw["Actor"]
        action, _, detail = str(raw["Action"]).partition(":")
        time_ns = int(raw.get("timeNano") or int(raw["time"]) * 10**9)
        attributes = dict(actor.get("Attributes") or {})
        return Event(action, str(actor["ID"]), time_ns, attributes, detail.strip())
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise EngineGarbage(f"not an event: {line[:200]!r}") from error


@dataclass(frozen=True, slots=True)
class History:
    """The events of containers that the Engine remembers, oldest first; ``count`` is that of all kinds."""

    events: tuple[Event, ...]
    count: int

    def reaches(self, time_ns: int) -> bool:
        """Tell whether nothing since that moment is missing that this run of the Engine has told.

        So it is when something older is still there, or when nothing was pushed out yet.
        """
        older = bool(self.events) and self.events[0].time_ns <= time_ns
        return older or self.count < REMEMBERED_EVENTS


def parse_history(body: bytes) -> History:
    """Return the events in a finished answer; raises EngineGarbage."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    return History(tuple(event for line in lines if (event := parse_event(line))), len(lines))


class Stream:
    """An open answer: ``with`` and read it in one thread, ``close`` it from any.

    It is called ``name`` when it breaks. Silence is normal in it: somebody else has to notice a dead Engine.
    """

    def __init__(self, answer: Answer, name: str) -> None:
        answer.endless()
        self._answer = answer
        self._name = name
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._answer.close()  # gives the descriptor back; not in close, because nobody reads it now

    def close(self) -> None:
        """End the stream; an iteration in another thread stops."""
        self._closed = True
        self._answer.abort()

    def _chunks(self) -> Iterator[bytes]:
        """Yield chunks until the end, or until it is closed; raises EngineUnreachable."""
        try:
            yield from self._answer.chunks()
        except (OSError, ValueError) as error:
            if not self._closed:
                raise EngineUnreachable(f"the {self._name} broke ({error})") from error


class EventStream(Stream):
    """The Engine's events."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer, "event stream")

    def __iter__(self) -> Iterator[Event]:
        """Yield events until the stream is closed; raises EngineUnreachable or EngineGarbage."""
        for line in self._lines():
            if line.strip() and (event := parse_event(line)):
                yield event

    def _lines(self) -> Iterator[bytes]:
        pending = b""
        for chunk in self._chunks():
            *lines, pending = (pending + chunk).split(b"\n")
            yield from lines
            if len(pending) > MAX_EVENT_BYTES:
                raise EngineGarbage(f"an event of more than {MAX_EVENT_BYTES} bytes")
