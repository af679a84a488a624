"""What is known of the containers that are watched, and the signals that fire for them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from remediation.model import Signal, Source
from remediation.triggers.signals import firing, resolved

SECOND_NS = 10**9


class Watched(msgspec.Struct):
    """A container: what fires, and what of its present run matters. Times are the Engine's nanoseconds."""

    labels: dict[str, str]
    firing: dict[str, Signal] = {}
    heard_ns: int = 0
    died_ns: int = 0  # 0 while it runs
    exit_code: int = 0
    stopped: bool = False  # by the API, since its last start
    signalled_ns: int = 0  # by the API, in a way that need not end it
    oom_ns: int = 0
    starts: list[int] = []  # by restart policy

    @property
    def idle(self) -> bool:
        """Whether nothing of it needs to be remembered."""
        ended = self.stopped and self.died_ns
        return not (self.firing or self.starts or self.oom_ns or self.signalled_ns) and bool(
            ended or not (self.stopped or self.died_ns)
        )


class WatchState(msgspec.Struct):
    """Everything that a watch knows, so that it can go on after a restart."""

    last_ns: int = 0
    recent: list[tuple[int, str, str]] = []
    containers: dict[str, Watched] = {}


def begin(
    watched: Watched, name: str, at_ns: int, what: str, labels: Mapping[str, str] | None = None
) -> list[Signal]:
    """Return the signal that fires from ``at_ns`` on, unless it does already; ``what`` ends its sentence."""
    if name in watched.firing:
        return []
    own = {**watched.labels, **(labels or {})}
    summary = f"container {watched.labels['name']} {what}"
    signal = watched.firing[name] = firing(Source.EVENT, name, own, at_ns / SECOND_NS, summary)
    return [signal]


def end(watched: Watched, at_ns: int, *names: str) -> list[Signal]:
    """Return what resolves of these names."""
    return [resolved(watched.firing.pop(name), at_ns / SECOND_NS) for name in names if name in watched.firing]


def end_all(watched: Watched, at_ns: int) -> list[Signal]:
    """Return everything that fires of a container, resolved."""
    return end(watched, at_ns, *list(watched.firing))
