"""Probes on time: one thread that decides who is asked, and a few that ask."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from compose_agent.dockerd.model import Container
from compose_agent.errors import EngineError
from compose_agent.labels import PREFIX
from remediation.model import Signal, Source
from remediation.triggers.delivery import Delivery, Receive
from remediation.triggers.memory import Memory, recall, remember
from remediation.triggers.probes.attempt import address_of, attempt
from remediation.triggers.probes.spec import ProbeSpec, specs_of
from remediation.triggers.probes.streak import Streak, noted
from remediation.triggers.signals import firing, labels_of, resolved

logger = logging.getLogger(__name__)

NAME = "ContainerProbeFailed"
MEMORY = "probes"
# Enough for a hundred containers that all hang until their timeout of a second; beyond, the period stretches.
PROBERS = 16
# How soon a container that was started is seen.
LOOK_SECONDS = 1.0
# Containers that were started together are not asked together for ever.
JITTER = 0.1
STOP_SECONDS = 2.0


class ProbeMemory(msgspec.Struct):
    """What was told and has not resolved, by probe."""

    told: dict[str, Signal] = {}


class Containers(Protocol):
    """What is asked of an :class:`~compose_agent.dockerd.inventory.Inventory`."""

    def containers(self) -> tuple[Container, ...]: ...  # noqa: D102
    def wait_complete(self, timeout: float) -> bool: ...  # noqa: D102


@dataclass(slots=True)
class _Probe:
    """A probe of one run of a container; ``due`` is monotonic time, None while it is being asked."""

    key: str
    container: Container
    spec: ProbeSpec
    due: float | None
    streak: Streak = field(default_factory=Streak)
    address: str = ""  # known from the attempt before, if that was well


@dataclass(frozen=True, slots=True)
class _Result:
    """``why`` is None when the container was not asked, empty when it is well; ``at`` is its beginning."""

    key: str
    at: float
    address: str
    why: str | None


class Probes:
    """``inspect`` is the Engine's; ``local`` tells whether the Engine is this host's."""

    def __init__(
        self,
        containers: Containers,
        inspect: Callable[[str], Mapping[str, Any]],
        receive: Receive,
        memory: Memory,
        *,
        local: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._containers = containers
        self._inspect = inspect
        self._delivery = Delivery(receive, now)
        self._memory = memory
        self._local = local
        self._now = now
        self._state = recall(memory, MEMORY, ProbeMemory) or ProbeMemory()
        self._probes: dict[str, _Probe] = {}
        self._seen: tuple[Container, ...] | None = None
        self._problems: dict[str, str] = {}
        self._results: queue.SimpleQueue[_Result | None] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(PROBERS, thread_name_prefix="trigger-probe")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="trigger-probes", daemon=True)

    @property
    def failing(self) -> frozenset[str]:
        """The full ids of containers of which a probe fails."""
        return frozenset(each.container.id for each in list(self._probes.values()) if each.streak.failing)

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with labels, by container."""
        return dict(self._problems)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being asked ends by its own timeout."""
        self._stop.set()
        self._results.put(None)
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._turn()
            except Exception:  # the thread's outermost loop: without it nobody is asked any more
                logger.exception("probing went wrong")
                self._stop.wait(LOOK_SECONDS)

    def _turn(self) -> None:
        signals = self._look()
        self._ask_those_due()
        try:
            result = self._results.get(timeout=0.0 if signals else self._pause())
        except queue.Empty:
            result = None
        while result is not None:
            signals += self._note(result)
            result = None if self._results.empty() else self._results.get()
        if signals and self._delivery.deliver(signals, self._stop):
            remember(self._memory, MEMORY, self._state)

    def _pause(self) -> float:
        dues = [each.due for each in self._probes.values() if each.due is not None]
        return max(
            0.0, min(LOOK_SECONDS, min(dues, default=LOOK_SECONDS + time.monotonic()) - time.monotonic())
        )

    def _look(self) -> list[Signal]:
        """Take up the probes of containers that came, and drop those whose run has ended."""
        containers = self._containers.containers()
        if containers is self._seen or not self._is_complete():
            return []
        self._seen = containers
        fresh: dict[str, _Probe] = {}
        problems: dict[str, str] = {}
        for container in containers:
            if container.state == "running" and not container.one_off:
                fresh |= self._probes_of(container, problems)
        for name in problems.keys() - self._problems.keys():
            logger.warning("no probe by label", extra={"container": name, "error": problems[name]})
        self._problems, self._probes = problems, fresh
        ended = self._state.told.keys() - fresh.keys()
        return [resolved(self._state.told.pop(key), self._now()) for key in sorted(ended)]

    def _is_complete(self) -> bool:
        try:
            return self._containers.wait_complete(0)
        except EngineError:
            return False  # the inventory says why

    def _probes_of(self, container: Container, problems: dict[str, str]) -> dict[str, _Probe]:
        specs, wrong = specs_of(container.labels)
        if wrong:
            problems[container.name] = "; ".join(f"label {PREFIX}{key}: {wrong[key]}" for key in wrong)
        found = {}
        for spec in specs:
            key = f"{container.id}/{container.started_at}/{spec.kind}"
            known = self._probes.get(key)
            if known:
                known.container = container
            found[key] = known or self._begun(key, container, spec)
        return found

    def _begun(self, key: str, container: Container, spec: ProbeSpec) -> _Probe:
        age = self._now() - (container.started_at or self._now())
        wait = max(0.0, spec.initial_delay - age) + spec.period * random.uniform(0, JITTER)  # noqa: S311 - no secret
        return _Probe(key, container, spec, time.monotonic() + wait, Streak(failing=key in self._state.told))

    def _ask_those_due(self) -> None:
        now = time.monotonic()
        for probe in self._probes.values():
            if probe.due is not None and probe.due <= now:
                probe.due = None
                self._pool.submit(self._ask, probe.key, probe.container, probe.spec, probe.address)

    def _ask(self, key: str, container: Container, spec: ProbeSpec, address: str) -> None:
        at, why = time.monotonic(), None
        try:
            address = address or address_of(container, spec, self._inspect, local=self._local)
            why = attempt(spec, address) if address else None
        except EngineError:
            why = None  # the inventory says why
        except Exception:  # then it counts as not asked: neither well nor ill
            logger.exception("a probe went wrong", extra={"container": container.name})
        self._results.put(_Result(key, at, address, why))

    def _note(self, result: _Result) -> list[Signal]:
        probe = self._probes.get(result.key)
        if probe is None:
            return []
        period = probe.spec.period * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        probe.due = max(result.at + period, time.monotonic())
        # Whoever did not answer may have another address by now.
        probe.address = result.address if result.why == "" else ""
        if result.why is None or not noted(probe.streak, probe.spec, self._now(), ok=not result.why):
            return []
        return [self._failed(probe, result.why) if probe.streak.failing else self._mended(probe)]

    def _failed(self, probe: _Probe, why: str) -> Signal:
        name, times = probe.container.name, probe.spec.failures
        summary = f"container {name} failed its probe {probe.spec} {times} times in a row: {why}"
        labels = {**labels_of(probe.container), "probe": probe.spec.kind}
        signal = self._state.told[probe.key] = firing(Source.PROBE, NAME, labels, probe.streak.began, summary)
        return signal

    def _mended(self, probe: _Probe) -> Signal:
        return resolved(self._state.told.pop(probe.key), self._now())
