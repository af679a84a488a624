"""From a container through a forwarder to a place where lines can be counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from compose_agent.errors import ComposeAgentError
from log_forwarder.sinks.contract import ReadBack
from log_forwarder.sinks.word import SinkWord
from log_forwarder.verify.lines import Plan, Tally, tally

# A forwarder looks for new lines five times a second; reading a sink costs more than asking whether to.
_POLL_SECONDS = 0.3


class Course(Protocol):
    """One forwarder and one place at its end."""

    @property
    def name(self) -> str:
        """The sink, as people know it."""

    @property
    def ordered(self) -> bool:
        """Whether ``texts`` come in the order in which they arrived."""

    def has_all(self, container_id: str) -> bool | None:
        """Tell whether nothing of a container is on its way; None for one that the forwarder has not."""

    def texts(self, marker: str) -> Iterator[str]:
        """Yield the text of everything that arrived and has ``marker`` in it, as often as it is there."""


@dataclass(frozen=True, slots=True)
class RunningCourse:
    """A sink of the running forwarder; ``positions`` gives what it says at ``/v1/positions``."""

    word: SinkWord
    read_back: ReadBack
    positions: Callable[[], list[dict[str, Any]]]

    @property
    def name(self) -> str:
        """The sink's name."""
        return self.word.name

    @property
    def ordered(self) -> bool:
        """Whether this kind of sink keeps the order."""
        return self.read_back.ordered

    def has_all(self, container_id: str) -> bool | None:
        """Ask the forwarder."""
        for row in self.positions():
            if (row["sink"], row["container_id"]) == (self.word.name, container_id):
                return not row["behind_bytes"] and not row["batches_on_their_way"]
        return None

    def texts(self, marker: str) -> Iterator[str]:
        """Ask the sink."""
        return self.read_back.texts(self.word, marker)


@dataclass(frozen=True, slots=True)
class Report:
    """What was counted along a course, and how long after the container's start."""

    course: Course
    tally: Tally
    seconds: float


class Counting:
    """Counts along courses until each has every line, or the time is over."""

    def __init__(
        self, plan: Plan, courses: Sequence[Course], *, timeout: float, stop: threading.Event
    ) -> None:
        self._plan = plan
        self._open = list(courses)
        self._timeout = timeout
        self._stop = stop

    def reports(self, container_id: str, written: Callable[[], bool]) -> Iterator[Report]:
        """Yield a report for each course when it is over; ``written`` tells whether the writer has ended.

        Raises ComposeAgentError when it is stopped, or a forwarder has never had the container.
        """
        began = time.monotonic()
        while self._open:
            if self._stop.wait(_POLL_SECONDS):
                raise ComposeAgentError("stopped before every line was counted")
            seconds = time.monotonic() - began
            over = seconds > self._timeout
            ended = written()
            for course in list(self._open):
                counted = self._counted(course, container_id, over=over, ended=ended)
                if counted and (over or not counted.lost):
                    self._open.remove(course)
                    yield Report(course, counted, seconds)

    def _counted(self, course: Course, container_id: str, *, over: bool, ended: bool) -> Tally | None:
        """Return a count, None while more is to come."""
        settled = course.has_all(container_id)
        if over and settled is None:
            raise ComposeAgentError(
                f"the forwarder ships nothing of the container {container_id[:12]} to {course.name}",
                remedy="check that it runs with the same configuration, what it chooses by logs.containers, "
                "logs.exclude and logs.projects, and its log",
            )
        return tally(self._plan, course.texts(self._plan.marker)) if over or (ended and settled) else None
