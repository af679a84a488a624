"""All triggers of this host together, as the role starts, changes and stops them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compose_agent.dockerd.stream import Event
from compose_agent.dockerd.usage.service import ServiceMeter
from remediation.prometheus import Series
from remediation.triggers.delivery import Receive
from remediation.triggers.events import ContainerEvents, Containers
from remediation.triggers.memory import Memory
from remediation.triggers.probes.driver import Probes
from remediation.triggers.queries import QuerySchedule
from remediation.triggers.query import Query
from remediation.triggers.scaler.driver import Scaler
from remediation.triggers.scaler.rules import ScaleRule


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the policies file and the settings ask of triggers.

    ``ask`` gives the series of an expression and ``value`` its one number; both raise a ComposeAgentError,
    also where no Prometheus is configured.
    """

    queries: Sequence[Query]
    scaling: Sequence[ScaleRule]
    ask: Callable[[str], Sequence[Series]]
    value: Callable[[str], float | None]


class Triggers:
    """Made before the inventory, which gets ``hear`` as its listener and ``since_ns`` as its beginning.

    ``local`` tells whether the Engine is this host's.
    """

    def __init__(self, receive: Receive, memory: Memory, *, local: bool = True) -> None:
        self._receive = receive
        self._memory = memory
        self._local = local
        self._events = ContainerEvents(receive, memory)
        self._probes: Probes | None = None
        self._scaler: Scaler | None = None
        self._queries: QuerySchedule | None = None
        self._start_others: Callable[[Wishes], None] | None = None

    @property
    def since_ns(self) -> int | None:
        """Where the Engine's events are to be told from."""
        return self._events.since_ns

    def hear(self, event: Event) -> None:
        """Take an event; neither waits nor raises."""
        self._events.hear(event)

    def problems(self) -> Mapping[str, str]:
        """Return what is wrong with labels, by container, and with queries, by name."""
        probes = self._probes.problems if self._probes else {}
        scaler = self._scaler.problems if self._scaler else {}
        return {**probes, **scaler, **(self._queries.failing if self._queries else {})}

    def ailing(self) -> frozenset[str]:
        """Return the ids of containers of which a probe fails, or that are in a restart loop."""
        return self._events.looping | (self._probes.failing if self._probes else frozenset())

    def died(self) -> frozenset[str]:
        """Return the ids of containers that have died by themselves, and do not run."""
        return self._events.died

    def start(
        self,
        inventory: Containers,
        inspect: Callable[[str], Mapping[str, Any]],
        meter: ServiceMeter,
        wishes: Wishes,
    ) -> None:
        """Begin with everything."""
        self._events.start(inventory)
        self._probes = Probes(inventory, inspect, self._receive, self._memory, local=self._local)
        self._probes.start()

        def start_others(wishes: Wishes) -> None:
            self._queries = QuerySchedule(wishes.queries, wishes.ask, self._receive, self._memory)
            self._scaler = Scaler(
                inventory, meter, wishes.value, self._receive, self._memory, rules=wishes.scaling
            )
            self._queries.start()
            self._scaler.start()

        self._start_others = start_others
        start_others(wishes)

    def change(self, wishes: Wishes) -> None:
        """Go on with other queries and rules; what was told and is no longer asked for resolves."""
        self._stop_others()
        if self._start_others:
            self._start_others(wishes)

    def stop(self) -> None:
        """End everything; what was not delivered is told after the next start."""
        self._stop_others()
        if self._probes:
            self._probes.stop()
        self._events.stop()

    def _stop_others(self) -> None:
        for each in (self._queries, self._scaler):
            if each:
                each.stop()
