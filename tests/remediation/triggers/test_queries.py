from __future__ import annotations

from collections.abc import Sequence

import pytest

from compose_agent.config.yamlfile import parse
from remediation.model import Signal
from remediation.policies.reading import Reading
from remediation.prometheus import PrometheusError, Series
from remediation.triggers.queries import Present, QuerySchedule, judged
from remediation.triggers.query import Query, read_queries
from tests.dockerd.watched import until
from tests.remediation.triggers.told import Inbox, Memories, words

HIGH = Query("HighLatency", "latency > 1", every=0.02, labels={"severity": "page"})


def series(*names: str, value: float = 2.0) -> list[Series]:
    return [Series({"service": name}, value) for name in names]


def about(signals: Sequence[Signal]) -> list[str]:
    return [("+" if each.firing else "-") + each.labels["service"] for each in signals]


def test_each_series_fires_with_its_labels_and_resolves_when_it_is_gone() -> None:
    present: dict[str, Present] = {}
    (signal,) = judged(HIGH, present, series("a"), 100.0)
    assert signal.labels == {"alertname": "HighLatency", "service": "a", "severity": "page"}
    assert (signal.starts_at, signal.annotations) == (100.0, {"summary": "HighLatency: 2"})
    assert about(judged(HIGH, present, series("a", "b", value=9), 130.0)) == ["+b"]
    assert about(judged(HIGH, present, series("b"), 160.0)) == ["-a"]
    assert about(judged(HIGH, present, series("a"), 190.0)) == ["-b", "+a"]
    assert about(judged(HIGH, present, [], 220.0)) == ["-a"]
    assert present == {}


def test_a_series_must_be_there_for_the_time_that_the_query_says() -> None:
    query = Query("HighLatency", "latency > 1", held=60.0)
    present: dict[str, Present] = {}
    assert judged(query, present, series("a"), 100.0) == []
    assert judged(query, present, [], 130.0) == []  # a gap begins the time anew
    assert judged(query, present, series("a"), 160.0) == []
    assert judged(query, present, series("a"), 219.0) == []
    (signal,) = judged(query, present, series("a"), 220.0)
    assert signal.starts_at == 160.0
    assert judged(query, present, series("a"), 250.0) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Series({}, 1.0, scalar=True), ["+Q"]),
        (Series({}, 0.0, scalar=True), []),
        (Series({}, float("nan"), scalar=True), []),
        (Series({}, 0.0), ["+Q"]),
    ],
)
def test_a_scalar_fires_while_it_is_not_0_and_a_vector_whatever_its_value(
    found: Series, expected: list[str]
) -> None:
    assert words(judged(Query("Q", "q"), {}, [found], 1.0)) == expected


class Answers:
    """What a Prometheus would say."""

    def __init__(self) -> None:
        self.found: Sequence[Series] | None = []
        self.asked = 0

    def ask(self, promql: str) -> Sequence[Series]:
        self.asked += 1
        if self.found is None:
            raise PrometheusError("nobody is there")
        return self.found


def test_the_schedule_tells_and_an_error_changes_nothing() -> None:
    answers, inbox = Answers(), Inbox()
    schedule = QuerySchedule([HIGH], answers.ask, inbox.receive, Memories())
    schedule.start()
    try:
        answers.found = series("a")
        until(lambda: about(inbox.signals) == ["+a"])
        answers.found = None
        until(lambda: "HighLatency" in schedule.failing)
        asked = answers.asked
        until(lambda: answers.asked > asked + 2)
        assert about(inbox.signals) == ["+a"]
        answers.found = [Series({"n": str(n)}, 1.0) for n in range(1001)]
        until(lambda: "more than 1000" in schedule.failing.get("HighLatency", ""))
        answers.found = []
        until(lambda: about(inbox.signals) == ["+a", "-a"])
        assert schedule.failing == {}
    finally:
        schedule.stop()


def test_nothing_is_told_twice_over_restarts_and_what_no_query_asks_any_more_resolves() -> None:
    answers, inbox, memories = Answers(), Inbox(), Memories()
    answers.found = series("a")
    for queries in ([HIGH], [HIGH], []):
        schedule = QuerySchedule(queries, answers.ask, inbox.receive, memories)
        asked = answers.asked
        schedule.start()
        until(lambda: not queries or answers.asked > asked + 1)  # noqa: B023 - waited for here
        until(lambda: about(inbox.signals) == (["+a"] if queries else ["+a", "-a"]))  # noqa: B023 - as above
        schedule.stop()
    assert about(inbox.signals) == ["+a", "-a"]


FILE = """\
HighLatency:
  query: latency > 1
  every: 10s
  for: 1m
  labels: {severity: page}
Down: {query: up == 0}
"""


def test_queries_are_read_from_the_file() -> None:
    reading = Reading("f.yml")
    found = read_queries(reading, parse(FILE, "f.yml"))
    assert reading.problems == []
    assert found == (
        Query("HighLatency", "latency > 1", 10.0, 60.0, {"severity": "page"}),
        Query("Down", "up == 0"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A: {every: 10s}", "f.yml:1: queries.A.query is missing, expected a PromQL expression"),
        ("A:\n  query: up\n  every: 0", "f.yml:3: queries.A.every: expected a duration above 0"),
        ("A:\n  query: up\n  fur: 1m", "f.yml:3: unknown key 'fur' in queries.A"),
        ("A:\n  query: up\n  labels: {a: }", "f.yml:3: queries.A.labels.a is empty, expected a text"),
    ],
)
def test_what_is_wrong_with_them_is_said_with_its_line(text: str, said: str) -> None:
    reading = Reading("f.yml")
    read_queries(reading, parse(text, "f.yml"))
    assert [str(each) for each in reading.problems if str(each).startswith(said)]
