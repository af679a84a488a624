"""PromQL expressions on a schedule: each series of a result is a signal, as with an alerting rule."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from compose_agent.errors import ComposeAgentError
from remediation.model import Signal, Source
from remediation.prometheus import Series
from remediation.triggers.delivery import Delivery, Receive
from remediation.triggers.memory import Memory, recall, remember
from remediation.triggers.query import Query
from remediation.triggers.signals import firing, resolved

logger = logging.getLogger(__name__)

MEMORY = "queries"
# More series than containers of a host: a query that lacks its aggregation, not a thousand incidents.
MOST_SERIES = 1000
STOP_SECONDS = 2.0


class Present(msgspec.Struct):
    """A series that is there: since when, and what was told of it."""

    since: float
    signal: Signal
    told: bool = False


class QueryState(msgspec.Struct):
    """What was there when a query was last answered, by name and by fingerprint."""

    present: dict[str, dict[str, Present]] = {}


def judged(query: Query, present: dict[str, Present], found: Sequence[Series], now: float) -> list[Signal]:
    """Return what fires and resolves with a query's new answer; ``present`` is brought up to date.

    A scalar is there while it is not 0: an expression with ``bool`` says so.
    """
    signals = [_signal(query, each, now) for each in found if _is_there(each)]
    here = {each.fingerprint: each for each in signals}
    signals = [resolved(each.signal, now) for key, each in present.items() if each.told and key not in here]
    for key in present.keys() - here.keys():
        del present[key]
    for key, signal in here.items():
        known = present.setdefault(key, Present(now, signal))
        if not known.told and now - known.since >= query.held:
            known.told, known.signal = True, msgspec.structs.replace(signal, starts_at=known.since)
            signals.append(known.signal)
    return signals


def _is_there(series: Series) -> bool:
    return not series.scalar or (series.value != 0 and series.value == series.value)


def _signal(query: Query, series: Series, now: float) -> Signal:
    labels = {**series.labels, **query.labels}
    return firing(Source.QUERY, query.name, labels, now, f"{query.name}: {series.value:g}")


class QuerySchedule:
    """One thread that asks each query in its turn; ``ask`` is the query of a Prometheus.

    An error resolves nothing and fires nothing: no answer is not an empty one.
    """

    def __init__(
        self,
        queries: Sequence[Query],
        ask: Callable[[str], Sequence[Series]],
        receive: Receive,
        memory: Memory,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._queries = queries
        self._ask = ask
        self._memory = memory
        self._now = now
        self._delivery = Delivery(receive, now)
        self._state = recall(memory, MEMORY, QueryState) or QueryState()
        self._failing: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="trigger-queries", daemon=True)

    def start(self) -> None:
        """Begin; the first questions are spread over their intervals."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the question that is under way."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    @property
    def failing(self) -> Mapping[str, str]:
        """The queries whose last question failed, and why."""
        return dict(self._failing)

    def _work(self) -> None:
        self._forget_others()
        began = time.monotonic()
        due = {each: began + each.every * random.random() for each in self._queries}  # noqa: S311 - spreads load
        while due and not self._stop.is_set():
            query = min(due, key=lambda each: due[each])
            if self._stop.wait(max(0.0, due[query] - time.monotonic())):
                return
            try:
                self._turn(query)
            except Exception:  # the thread's outermost loop: the other queries go on
                logger.exception("a query went wrong", extra={"query": query.name})
            due[query] = time.monotonic() + query.every

    def _forget_others(self) -> None:
        """Resolve what queries have told that are no longer configured."""
        gone = self._state.present.keys() - {each.name for each in self._queries}
        told = [each for name in gone for each in self._state.present[name].values() if each.told]
        if self._delivery.deliver([resolved(each.signal, self._now()) for each in told], self._stop) and gone:
            for name in gone:
                del self._state.present[name]
            remember(self._memory, MEMORY, self._state)

    def _turn(self, query: Query) -> None:
        found = self._answer(query)
        if found is None:
            return
        present = self._state.present.setdefault(query.name, {})
        before = {key: each.told for key, each in present.items()}
        signals = judged(query, present, found, self._now())
        told = self._delivery.deliver(signals, self._stop)
        if told and before != {key: each.told for key, each in present.items()}:
            remember(self._memory, MEMORY, self._state)

    def _answer(self, query: Query) -> Sequence[Series] | None:
        try:
            found = _bounded(self._ask(query.promql))
        except ComposeAgentError as error:
            if query.name not in self._failing:
                logger.warning("cannot ask", extra={"query": query.name, "error": str(error)})
            self._failing[query.name] = str(error)
            return None
        self._failing.pop(query.name, None)
        return found


def _bounded(found: Sequence[Series]) -> Sequence[Series]:
    if len(found) > MOST_SERIES:
        raise ComposeAgentError(
            f"it gives {len(found)} series, and more than {MOST_SERIES} are not taken",
            remedy="aggregate them",
        )
    return found
