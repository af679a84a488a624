"""What Alertmanager and Prometheus say: kept at hand, so that whoever decides never waits for them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from compose_agent.errors import ComposeAgentError
from remediation.alertmanager import OWN_ALERTS, Alertmanager, Silences
from remediation.clients import Clients
from remediation.httpapi import HttpError
from remediation.model import Signal
from remediation.prometheus import Prometheus, PrometheusError, Series
from remediation.receiver.alertmanager import Truncated

logger = logging.getLogger(__name__)

# Silences hold from so long after they were made.
ASK_SECONDS = 5.0
_STOP_SECONDS = 2.0
# Queries of verifications that are under way; who asks no more is forgotten.
_FORGET_ROUNDS = 6
_MOST_TRUNCATED = 100
# In one transaction, for which notifications may have to wait.
_MOST_AT_ONCE = 500

T = TypeVar("T")


class Outside:
    """Asks in a thread of its own, every few seconds while there is something to ask.

    Without Alertmanager nothing is silenced; while it does not answer its last word holds. ``receive`` takes
    the alerts that a notification left out, and those that may have been missed: all that fire, at the start
    and after Alertmanager could not be asked. Which ones were left out is not kept on disk, therefore.
    """

    def __init__(
        self, clients: Clients, receive: Callable[[list[Signal]], None], ask_seconds: float = ASK_SECONDS
    ) -> None:
        self._clients = clients
        self._receive = receive
        self._ask_seconds = ask_seconds
        self._lock = threading.Lock()
        self._silences = Silences(())
        self._may_have_missed = True
        self._answers: dict[str, bool | None] = {}
        self._asked: dict[str, int] = {}
        self._truncated: list[Truncated] = []
        self._stop = threading.Event()
        self._news = threading.Event()
        self._said: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="outside", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def change(self, clients: Clients) -> None:
        """Ask others from now on."""
        self._clients = clients
        self._may_have_missed = True
        self._news.set()

    @property
    def error(self) -> str:
        """Why somebody could not be asked the last time; empty when all could."""
        return "; ".join(filter(None, list(self._said.values())))

    def silenced(self, labels: Mapping[str, str]) -> str:
        """Return which silence of Alertmanager holds for these labels, empty for none."""
        silence = self._silences.of(labels)
        if silence is None:
            return ""
        comment = f" ({silence.comment})" if silence.comment else ""
        return f"Alertmanager's silence {silence.id}{comment}"

    def holds(self, query: str) -> bool | None:
        """Return whether a PromQL query said so when it was last asked; None before there is an answer."""
        with self._lock:
            new = query not in self._asked
            self._asked[query] = 0
            answer = self._answers.get(query)
        if new:
            self._news.set()
        return answer

    def ask(self, promql: str) -> Sequence[Series]:
        """Return the series of an expression; raises PrometheusError. Waits for the answer."""
        return self._asked_of().query(promql)

    def value(self, promql: str) -> float | None:
        """Return the one number of an expression; raises PrometheusError. Waits for the answer."""
        return self._asked_of().value(promql)

    def _asked_of(self) -> Prometheus:
        if (prometheus := self._clients.prometheus) is None:
            raise PrometheusError("no Prometheus is configured", remedy="set remediation.prometheus.url")
        return prometheus

    def truncated(self, left_out: Truncated) -> None:
        """Fetch what a notification left out."""
        with self._lock:
            if len(self._truncated) < _MOST_TRUNCATED:
                self._truncated.append(left_out)
        self._news.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            clients = self._clients
            if clients.alertmanager:
                self._try(self._ask_alertmanager, clients.alertmanager)
            if clients.prometheus:
                self._try(self._ask_prometheus, clients.prometheus)
            self._news.wait(self._ask_seconds)
            self._news.clear()

    def _try(self, ask: Callable[[T], None], whom: T) -> None:
        """Ask one of them; what goes wrong is said once, and keeps nobody from asking the next."""
        try:
            ask(whom)
            self._say(ask.__name__, "")
        except ComposeAgentError as error:
            self._say(ask.__name__, str(error))
        except Exception as error:  # the next round must come, whatever this one met
            logger.exception("fault in asking others")
            self._say(ask.__name__, repr(error))

    def _ask_alertmanager(self, alertmanager: Alertmanager) -> None:
        try:
            self._silences = alertmanager.silences()
            if self._may_have_missed:
                self._take([each for each in alertmanager.alerts({}) if each.name not in OWN_ALERTS])
                # Unless it was replaced meanwhile: the new one has not been asked.
                self._may_have_missed = alertmanager is not self._clients.alertmanager
            self._fetch(alertmanager)
        except HttpError:
            self._may_have_missed = True
            raise

    def _fetch(self, alertmanager: Alertmanager) -> None:
        while self._truncated:
            left_out = self._truncated[0]
            self._take(alertmanager.alerts(left_out.group_labels, left_out.receiver))
            with self._lock:
                self._truncated.pop(0)

    def _take(self, alerts: list[Signal]) -> None:
        for start in range(0, len(alerts), _MOST_AT_ONCE):
            self._receive(alerts[start : start + _MOST_AT_ONCE])

    def _ask_prometheus(self, prometheus: Prometheus) -> None:
        for query in self._queries():
            answer = None
            try:
                answer = any(each.value for each in prometheus.query(query))
            except HttpError as error:
                if error.may_pass:
                    raise
                self._say(query, str(error))  # which says nothing about the next query
            else:
                self._say(query, "")
            with self._lock:
                self._answers[query] = answer

    def _queries(self) -> list[str]:
        """Return the queries that somebody waits for."""
        with self._lock:
            self._asked = {query: age + 1 for query, age in self._asked.items() if age < _FORGET_ROUNDS}
            self._answers = {query: self._answers.get(query) for query in self._asked}
            return list(self._asked)

    def _say(self, about: str, words: str) -> None:
        if words and words != self._said.get(about):
            logger.warning("another program cannot be asked", extra={"error": words})
        self._said[about] = words
