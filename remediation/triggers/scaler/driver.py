"""The scaler at work: it measures once a second and tells what the rules decide."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import msgspec

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage.service import ReplicaUsage, ServiceKey, ServiceMeter, ServiceUsage
from compose_agent.errors import ComposeAgentError
from remediation.model import Signal
from remediation.triggers.delivery import Delivery, Receive
from remediation.triggers.memory import Memory, recall, remember
from remediation.triggers.scaler.desired import Replica
from remediation.triggers.scaler.rules import CPU, ScaleRule, rules_of
from remediation.triggers.scaler.service import Observed, ServiceState, decide
from remediation.triggers.signals import resolved

logger = logging.getLogger(__name__)

MEMORY = "scaler"
EVERY_SECONDS = 1.0
# Only the stats API needs time, where files cannot be read.
USAGE_SECONDS = 3.0
# As often as Kubernetes asks; a value older than several of these is none.
QUERY_SECONDS = 15.0
QUERY_OLD_SECONDS = 60.0
# Decisions are saved at once, and what only moves on with time this often.
SAVE_SECONDS = 5.0
# The CPU that a start costs is not load: a replica counts from here on.
WARM_UP_SECONDS = 15.0
STOP_SECONDS = 4.0
_ASKERS = 2
# What a service has, whether or not it runs now.
_COUNTED = frozenset({"created", "running", "restarting", "paused", "exited"})
_NO_USAGE = ServiceUsage(None, None, {})


class ScalerState(msgspec.Struct):
    """What is known of each service, as ``project/service``."""

    services: dict[str, ServiceState] = {}


class Containers(Protocol):
    """What is asked of an :class:`~compose_agent.dockerd.inventory.Inventory`."""

    def containers(self) -> tuple[Container, ...]: ...  # noqa: D102
    def wait_complete(self, timeout: float) -> bool: ...  # noqa: D102


class Answers:
    """The values of queries, asked in the background so that a slow Prometheus holds up no other rule."""

    def __init__(
        self, ask: Callable[[str], float | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._pool = ThreadPoolExecutor(_ASKERS, thread_name_prefix="trigger-scaler")
        self._asked: dict[str, tuple[float, Future[float | None]]] = {}
        self._known: dict[str, tuple[float, float | None]] = {}
        self._failing: set[str] = set()

    def value(self, promql: str) -> float | None:
        """Return the newest value there is, None when none came lately; never waits."""
        now = self._clock()
        asked = self._asked.get(promql)
        if asked and asked[1].done():
            self._take(promql, *self._asked.pop(promql))
        known_at, value = self._known.get(promql, (now - QUERY_OLD_SECONDS, None))
        if promql not in self._asked and now - known_at >= QUERY_SECONDS:
            self._asked[promql] = (now, self._pool.submit(self._ask, promql))
        return value if now - known_at < QUERY_OLD_SECONDS else None

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _take(self, promql: str, at: float, answer: Future[float | None]) -> None:
        try:
            self._known[promql] = (at, answer.result())
            self._failing.discard(promql)
        except ComposeAgentError as error:
            # Known at this time as unknown, so that it is not asked again at once.
            self._known[promql] = (at, None)
            if promql not in self._failing:
                logger.warning("cannot measure what a service is scaled by", extra={"error": str(error)})
            self._failing.add(promql)


class Scaler:
    """One thread; ``rules`` are those of a file, which go before labels, ``ask`` gives a query's value."""

    def __init__(
        self,
        containers: Containers,
        meter: ServiceMeter,
        ask: Callable[[str], float | None],
        receive: Receive,
        memory: Memory,
        *,
        rules: Sequence[ScaleRule] = (),
        every: float = EVERY_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._containers = containers
        self._meter = meter
        self._answers = Answers(ask)
        self._delivery = Delivery(receive, now)
        self._memory = memory
        self._own_rules = {(each.project, each.service): each for each in rules}
        self._every = every
        self._now = now
        self._state = recall(memory, MEMORY, ScalerState) or ScalerState()
        self._save_due = 0.0
        self._rules_from: tuple[Container, ...] | None = None
        self._rules: Mapping[ServiceKey, ScaleRule] = {}
        self._problems: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="trigger-scaler", daemon=True)

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with labels, by container."""
        return dict(self._problems)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and save what is known."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        self._answers.close()
        if not self._thread.is_alive():
            remember(self._memory, MEMORY, self._state)

    def _work(self) -> None:
        while not self._stop.wait(self._every):
            try:
                if self._containers.wait_complete(0):
                    self._turn(self._containers.containers())
            except ComposeAgentError:
                continue  # the inventory says why
            except Exception:  # the thread's outermost loop: without it nothing is scaled any more
                logger.exception("the scaler went wrong")

    def _turn(self, containers: tuple[Container, ...]) -> None:
        rules = self._rules_for(containers)
        groups = _grouped(containers, rules)
        measured = [key for key, rule in rules.items() if not rule.is_query]
        usage = self._meter.read([each for key in measured for each in groups[key]], USAGE_SECONDS)
        signals = self._forgotten(rules)
        for key, rule in rules.items():
            state = self._state.services.setdefault("/".join(key), ServiceState())
            seen = self._observed(rule, groups[key], usage.get(key, _NO_USAGE))
            signals += decide(rule, state, seen, self._now())
        if self._delivery.deliver(signals, self._stop):
            self._save(at_once=bool(signals))

    def _rules_for(self, containers: tuple[Container, ...]) -> Mapping[ServiceKey, ScaleRule]:
        if containers is not self._rules_from:
            self._rules_from = containers
            labelled, problems = rules_of(containers)
            for name in problems.keys() - self._problems.keys():
                logger.warning("no scaling by labels", extra={"container": name, "error": problems[name]})
            self._problems = problems
            here = {(each.compose_project, each.compose_service) for each in containers}
            own = {key: rule for key, rule in self._own_rules.items() if key in here}
            self._rules = labelled | own
        return self._rules

    def _observed(self, rule: ScaleRule, containers: Sequence[Container], usage: ServiceUsage) -> Observed:
        now = self._now()
        replicas = [
            Replica(_value(rule, each, usage.replicas.get(each.id)), _is_ready(rule, each, now))
            for each in containers
            if each.state == "running"
        ]
        value = self._answers.value(rule.metric) if rule.is_query else None
        return Observed(sum(each.state in _COUNTED for each in containers), replicas, value)

    def _forgotten(self, rules: Mapping[ServiceKey, ScaleRule]) -> list[Signal]:
        """Return what resolves because its service, or its rule, is gone."""
        gone = self._state.services.keys() - {"/".join(key) for key in rules}
        states = [self._state.services.pop(each) for each in sorted(gone)]
        return [resolved(each.told, self._now()) for each in states if each.told]

    def _save(self, *, at_once: bool) -> None:
        if at_once or (self._state.services and time.monotonic() >= self._save_due):
            remember(self._memory, MEMORY, self._state)
            self._save_due = time.monotonic() + SAVE_SECONDS


def _grouped(
    containers: Iterable[Container], keys: Iterable[ServiceKey]
) -> Mapping[ServiceKey, list[Container]]:
    groups: dict[ServiceKey, list[Container]] = {key: [] for key in keys}
    for each in containers:
        group = groups.get((each.compose_project, each.compose_service))
        if group is not None and not each.one_off:
            group.append(each)
    return groups


def _value(rule: ScaleRule, container: Container, usage: ReplicaUsage | None) -> float | None:
    """Return what was measured of a replica in the rule's measure; None when that cannot be said."""
    if usage is None or rule.is_query:
        return None
    number = usage.cpu_cores if rule.metric == CPU else usage.memory_bytes
    if number is None or not rule.aim.percent:
        return number
    limit = (container.cpu_limit_cores or 1.0) if rule.metric == CPU else container.memory_limit_bytes
    return None if limit is None else 100.0 * number / limit


def _is_ready(rule: ScaleRule, container: Container, now: float) -> bool:
    if container.health == "starting":
        return False
    return rule.metric != CPU or now - (container.started_at or now) >= WARM_UP_SECONDS
