"""Faults that a test, or a person, asks the fake Engine for."""

from __future__ import annotations

import fnmatch
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "hang",
    "slow",
    "slow-body",
    "late",
    "error",
    "reset",
    "reset-body",
    "truncate",
    "garbage",
    "wrong",
    "drop",
]
GARBAGE = b'{"Id": "}{\x00\xff'


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault on the requests that ``route`` matches, for the next ``times`` of them or until cleared.

    ``route`` is a shell pattern over ``METHOD /path`` without the version, such as
    ``GET /containers/*/json``; for ``drop`` over ``EVENT type action``, such as ``EVENT container die``.

    ===============  ==================================================================================
    ``hang``         no answer until the fault is cleared; then the connection is closed
    ``slow``         ``seconds`` before the head of the answer
    ``slow-body``    ``seconds`` before each byte of the body
    ``late``         a stream listens only ``seconds`` after its head, as a busy Engine's does
    ``error``        ``status`` with ``message`` in the Engine's error shape
    ``reset``        the connection is closed before the head
    ``reset-body``   the connection is closed after ``after`` bytes of the body
    ``truncate``     the body ends after ``after`` bytes, as if it were whole
    ``garbage``      status 200, a body that is no JSON
    ``wrong``        status 200, ``body``: JSON of another shape than promised
    ``drop``         the event happens and nobody is told
    ===============  ==================================================================================

    With ``acts`` the Engine does what was asked before ``hang``, ``error``, ``reset``, ``garbage`` or
    ``wrong`` spoil the answer.
    """

    route: str
    kind: Kind
    times: int | None = None
    seconds: float = 0.1
    status: int = 500
    message: str = "something went wrong"
    after: int = 10
    body: str = "[]"
    acts: bool = False

    def matches(self, request: str) -> bool:
        """Tell whether the fault is meant for ``METHOD /path`` or ``EVENT type action``."""
        return fnmatch.fnmatchcase(request, self.route)


class Faults:
    """The faults in force, in the order in which they were added; the first that matches acts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[tuple[Fault, int | None]] = []
        self._cleared = threading.Event()

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        with self._lock:
            self._active.append((fault, fault.times))

    def clear(self) -> None:
        """End all faults; what hangs is let go."""
        with self._lock:
            self._active.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def take(self, request: str) -> tuple[Fault | None, threading.Event]:
        """Return the fault for a request, counting it as one of its ``times``, and what is set at its end."""
        with self._lock:
            for index, (fault, left) in enumerate(self._active):
                if (fault.kind == "drop") != request.startswith("EVENT ") or not fault.matches(request):
                    continue
                if left is not None and left <= 1:
                    del self._active[index]
                elif left is not None:
                    self._active[index] = (fault, left - 1)
                return fault, self._cleared
            return None, self._cleared

    def drops(self, kind: str, action: str) -> bool:
        """Tell whether this event is to get lost."""
        return self.take(f"EVENT {kind} {action}")[0] is not None


class Recorder:
    """How often each ``METHOD /path`` was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def record(self, request: str) -> None:
        """Count a request."""
        with self._lock:
            self._counts[request] += 1

    def counts(self) -> Counter[str]:
        """Return the counts up to now, by ``METHOD /path`` without the version."""
        with self._lock:
            return self._counts.copy()

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._counts.clear()
