"""What Alertmanager and Prometheus say: kept at hand, so that whoever decides never waits for them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from remediation.alertmanager import Alertmanager, AlertmanagerError, Silences
from remediation.model import Signal
from remediation.prometheus import Prometheus, PrometheusError, Series
from remediation.receiver.alertmanager import Truncated
from remediation.settings import RemediationSettings

logger = logging.getLogger(__name__)

_ASK_SECONDS = 5.0
_STOP_SECONDS = 2.0
# Queries of verifications that are under way; who asks no more is forgotten.
_FORGET_ROUNDS = 6
_MOST_TRUNCATED = 100


class Outside:
    """Asks in a thread of its own, every few seconds while there is something to ask.

    Without Alertmanager nothing is silenced; while it does not answer its last word holds. ``receive`` takes
    the alerts that a notification left out.
    """

    def __init__(self, settings: RemediationSettings, receive: Callable[[list[Signal]], None]) -> None:
        self._receive = receive
        self._lock = threading.Lock()
        self._silences = Silences(())
        self._answers: dict[str, bool | None] = {}
        self._asked: dict[str, int] = {}
        self._truncated: list[Truncated] = []
        self._stop = threading.Event()
        self._news = threading.Event()
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="outside", daemon=True)
        self.change(settings)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def change(self, settings: RemediationSettings) -> None:
        """Ask elsewhere."""
        self._alertmanager = Alertmanager(settings.alertmanager_url) if settings.alertmanager_url else None
        self._prometheus = Prometheus(settings.prometheus_url) if settings.prometheus_url else None

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
        if (prometheus := self._prometheus) is None:
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
            try:
                self._round()
                self._said = ""
            except (AlertmanagerError, PrometheusError) as error:
                self._say(str(error))
            except Exception as error:  # the next round must come, whatever this one met
                logger.exception("fault in asking others")
                self._say(repr(error))
            self._news.wait(_ASK_SECONDS)
            self._news.clear()

    def _round(self) -> None:
        if self._alertmanager:
            self._silences = self._alertmanager.silences()
            self._fetch(self._alertmanager)
        if self._prometheus:
            for query in self._queries():
                answer = any(each.value for each in self._prometheus.query(query))
                with self._lock:
                    self._answers[query] = answer

    def _fetch(self, alertmanager: Alertmanager) -> None:
        while self._truncated:
            left_out = self._truncated[0]
            self._receive(alertmanager.alerts(left_out.group_labels, left_out.receiver))
            with self._lock:
                self._truncated.pop(0)

    def _queries(self) -> list[str]:
        """Return the queries that somebody waits for."""
        with self._lock:
            self._asked = {query: age + 1 for query, age in self._asked.items() if age < _FORGET_ROUNDS}
            self._answers = {query: self._answers.get(query) for query in self._asked}
            return list(self._asked)

    def _say(self, words: str) -> None:
        if words != self._said:
            logger.warning("another program cannot be asked", extra={"error": words})
        self._said = words
