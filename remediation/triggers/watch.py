"""What a host's container events mean, as a state machine without I/O or clock.

The orders of events are those that Engines really send:

- a restart by the API is kill, stop, die, start, restart; of a container that does not run only start,
  restart; in the pause before a restart by policy stop, start, restart
- a crash is a die alone; a restart by policy is a start after it, and no ``restart`` event
- the Engine says ``stop`` before ``die``, and after ``docker kill`` no ``stop`` at all
- a kill for memory is one or two ``oom`` and, when the main process was the victim, a die within moments
- a start that fails, and a kill in the pause before a restart, are told by no event
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.stream import Event
from remediation.model import Signal, Source
from remediation.triggers.signals import firing, is_one_off, labels_from, labels_of, resolved
from remediation.triggers.watched import SECOND_NS, Watched, WatchState, begin, end, end_all

UNHEALTHY = "ContainerUnhealthy"
DIED = "ContainerDied"
OOM = "ContainerOOM"
CHILD_OOM = "ContainerChildOOM"
RESTART_LOOP = "ContainerRestartLoop"

# Signals that ask a process to end (INT, QUIT, ABRT, KILL, TERM): whatever comes of it was wanted, however
# long it takes. Others reload or rotate; a container may have one of them as its stop signal.
ENDING_SIGNALS = frozenset({"2", "3", "6", "9", "15"})
OTHER_SIGNAL_NS = 10 * SECOND_NS
# The die of a main process killed for memory follows within milliseconds, on a loaded host within this time.
_OOM_DIE_NS = 2 * SECOND_NS
_KILLED = 137
# A ``restart`` by the API follows its start within some milliseconds.
_RESTART_NS = SECOND_NS // 2
# A look must not contradict an event whose inspect is still under way.
_SETTLED_NS = 5 * SECOND_NS
# After a reconnect the stream repeats what has the time of its last event.
_RECENT = 64


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """So many starts by restart policy within so many seconds are a restart loop."""

    starts: int = 5
    seconds: float = 300.0


# Docker's own pauses between restarts grow from 0.1 s, so that this many come within seconds.
LOOP_LIMITS = LoopLimits()


class ContainerWatch:
    """Turns events, and looks at the present state, into signals. Not thread-safe; all times are Unix times.

    ``state`` is that of a watch before a restart. Told twice of an event it says nothing the second time.
    """

    def __init__(self, state: WatchState | None = None, limits: LoopLimits = LOOP_LIMITS) -> None:
        self.state = state or WatchState()
        self._limits = limits
        self._window_ns = int(limits.seconds * SECOND_NS)
        self._seen: dict[str, Container] = {}
        self._basis: dict[str, Container | None] = {}
        self._handlers: Mapping[str, Callable[[Watched, Event], list[Signal]]] = {
            "start": self._start,
            "die": self._die,
            "kill": self._kill,
            "stop": self._stop,
            "restart": self._restart,
            "oom": self._oom,
            "health_status": self._health,
            "rename": self._rename,
            "destroy": self._destroy,
        }

    @property
    def waiting(self) -> bool:
        """Whether ``tick`` may have something to say soon."""
        return any(each.oom_ns or each.starts for each in self.state.containers.values())

    @property
    def died(self) -> frozenset[str]:
        """The ids of containers that have died by themselves, and do not run."""
        known = self.state.containers.items()
        return frozenset(key for key, each in known if each.died_ns and not each.stopped)

    @property
    def looping(self) -> frozenset[str]:
        """The ids of containers that are in a restart loop."""
        return frozenset(key for key, each in self.state.containers.items() if RESTART_LOOP in each.firing)

    def hear(self, event: Event) -> list[Signal]:
        """Return what an event makes fire or resolve."""
        handler = self._handlers.get(event.action)
        if handler is None or is_one_off(event.attributes) or not self._is_new(event):
            return []
        watched = self._watched(event.container_id, labels_from(event.container_id, event.attributes))
        watched.heard_ns = max(watched.heard_ns, event.time_ns)
        # What was seen before this event says nothing about what is after it.
        self._basis[event.container_id] = self._seen.get(event.container_id)
        return handler(watched, event)

    def tick(self, now_ns: int) -> list[Signal]:
        """Return what only the passing of time tells."""
        signals: list[Signal] = []
        for watched in self.state.containers.values():
            signals += self._child_oom(watched, now_ns)
            signals += self._loop(watched, now_ns)
        return signals

    def look(self, containers: Iterable[Container], now_ns: int) -> list[Signal]:
        """Return what the present state of all containers shows and no event has told.

        Deaths are not among it: nothing tells afterwards whether somebody stopped the container.
        """
        self._seen = {each.id: each for each in containers if not each.one_off}
        signals: list[Signal] = []
        for container in self._seen.values():
            signals += self._look_at(container, now_ns)
        for container_id, watched in list(self.state.containers.items()):
            settled = now_ns - watched.heard_ns >= _SETTLED_NS
            if settled and (watched.idle or container_id not in self._seen):
                signals += self._forget(container_id, now_ns)
        return signals

    def _is_new(self, event: Event) -> bool:
        state = self.state
        key = (event.time_ns, event.container_id, event.action)
        if key in state.recent:
            return False
        state.recent = [*state.recent[1 - _RECENT :], key]
        state.last_ns = max(state.last_ns, event.time_ns)
        return True

    def _watched(self, container_id: str, labels: dict[str, str]) -> Watched:
        watched = self.state.containers.get(container_id)
        if watched is None:
            watched = self.state.containers[container_id] = Watched(labels)
        return watched

    def _start(self, watched: Watched, event: Event) -> list[Signal]:
        by_policy = watched.died_ns and not watched.stopped and self._may_restart(event.container_id)
        if by_policy:
            watched.starts = [*watched.starts[-self._limits.starts :], event.time_ns]
        watched.died_ns = watched.signalled_ns = watched.oom_ns = 0
        watched.stopped = False
        return end(watched, event.time_ns, UNHEALTHY, DIED, OOM, CHILD_OOM)

    def _may_restart(self, container_id: str) -> bool:
        seen = self._seen.get(container_id)
        return seen is None or seen.restart_policy != "no"

    def _die(self, watched: Watched, event: Event) -> list[Signal]:
        code = _exit_code(event)
        oom_ns, watched.oom_ns = watched.oom_ns, 0
        watched.died_ns, watched.exit_code = event.time_ns, code
        recently = 0 <= event.time_ns - watched.signalled_ns <= OTHER_SIGNAL_NS
        if watched.signalled_ns and recently:
            watched.stopped = True
        if watched.stopped:
            watched.starts = []
            return end_all(watched, event.time_ns)
        signals = end(watched, event.time_ns, UNHEALTHY, CHILD_OOM)
        if oom_ns and code == _KILLED and event.time_ns - oom_ns <= _OOM_DIE_NS:
            signals += begin(watched, OOM, oom_ns, "was killed for lack of memory")
        if code:
            labels = {"exit_code": str(code)}
            signals += begin(watched, DIED, event.time_ns, f"died with exit code {code}", labels)
        return signals

    def _kill(self, watched: Watched, event: Event) -> list[Signal]:
        if event.attributes.get("signal", "") in ENDING_SIGNALS:
            watched.stopped = True
        else:
            watched.signalled_ns = event.time_ns
        return []

    def _stop(self, watched: Watched, event: Event) -> list[Signal]:
        watched.stopped = True
        watched.starts = []
        return end_all(watched, event.time_ns)

    def _restart(self, watched: Watched, event: Event) -> list[Signal]:
        watched.starts = []
        return end(watched, event.time_ns, RESTART_LOOP)

    def _oom(self, watched: Watched, event: Event) -> list[Signal]:
        if not watched.died_ns:
            watched.oom_ns = watched.oom_ns or event.time_ns
            return []
        # The second event of one kill may come after the death.
        soon = event.time_ns - watched.died_ns <= _OOM_DIE_NS
        if soon and not watched.stopped and watched.exit_code == _KILLED:
            return begin(watched, OOM, event.time_ns, "was killed for lack of memory")
        return []

    def _health(self, watched: Watched, event: Event) -> list[Signal]:
        if event.detail == "unhealthy":
            return begin(watched, UNHEALTHY, event.time_ns, "is unhealthy")
        return end(watched, event.time_ns, UNHEALTHY)

    def _rename(self, watched: Watched, event: Event) -> list[Signal]:
        """Tell again, under the new name, what was told under the old one."""
        fresh = labels_from(event.container_id, event.attributes)
        before, watched.labels = watched.labels, fresh
        moved: list[Signal] = []
        for name, told in list(watched.firing.items()):
            own = {key: text for key, text in told.labels.items() if key not in before}
            again = firing(Source.EVENT, name, {**fresh, **own}, told.starts_at)
            watched.firing[name] = again
            moved += [resolved(told, event.time_ns / SECOND_NS), again]
        return moved

    def _destroy(self, watched: Watched, event: Event) -> list[Signal]:
        return self._forget(event.container_id, event.time_ns)

    def _forget(self, container_id: str, at_ns: int) -> list[Signal]:
        self._basis.pop(container_id, None)
        watched = self.state.containers.pop(container_id)
        return end_all(watched, at_ns)

    def _child_oom(self, watched: Watched, now_ns: int) -> list[Signal]:
        if not watched.oom_ns or now_ns - watched.oom_ns < _OOM_DIE_NS:
            return []
        at_ns, watched.oom_ns = watched.oom_ns, 0
        return begin(watched, CHILD_OOM, at_ns, "had a process killed for lack of memory, and runs on")

    def _loop(self, watched: Watched, now_ns: int) -> list[Signal]:
        if not watched.starts or now_ns - watched.starts[-1] < _RESTART_NS:
            return []
        watched.starts = [each for each in watched.starts if now_ns - each < self._window_ns]
        if not watched.starts:
            return end(watched, now_ns, RESTART_LOOP)
        if len(watched.starts) < self._limits.starts:
            return []
        summary = (
            f"was started by its restart policy {self._limits.starts} times in {self._limits.seconds:g} s"
        )
        return begin(watched, RESTART_LOOP, watched.starts[-1], summary)

    def _look_at(self, container: Container, now_ns: int) -> list[Signal]:
        known = self.state.containers.get(container.id)
        if known is None and container.health != "unhealthy":
            return []
        if known and now_ns - known.heard_ns < _SETTLED_NS:
            return []
        if known and container is self._basis.get(container.id):
            return []
        watched = known or self._watched(container.id, labels_of(container))
        return _contradictions(watched, container, now_ns)


def _contradictions(watched: Watched, container: Container, now_ns: int) -> list[Signal]:
    """Return what must be told so that what was told agrees with what is."""
    signals: list[Signal] = []
    if container.health == "unhealthy":
        signals += begin(watched, UNHEALTHY, now_ns, "is unhealthy")
    else:
        signals += end(watched, now_ns, UNHEALTHY)
    if container.state == "running":
        watched.died_ns = 0
        signals += end(watched, now_ns, DIED, OOM)
    if not container.oom_killed:
        signals += end(watched, now_ns, CHILD_OOM)
    return signals


def _exit_code(event: Event) -> int:
    try:
        return int(event.attributes.get("exitCode", ""))
    except ValueError:
        return 0
