from __future__ import annotations

import pytest

from log_forwarder.event import Event, Mark
from log_forwarder.moments import unix_seconds
from log_forwarder.transforms.marks import mark_of
from log_forwarder.transforms.pipeline import UNPROTECTED, Pipeline, Step
from tests.log_forwarder.transforms.building import Counted, event, events, pipeline


def broken(_events: list[Event]) -> list[Event]:
    raise RuntimeError("boom")


def test_without_configuration_there_is_nothing_to_do() -> None:
    found = pipeline()
    assert found.empty
    given = events(["a", "b"])
    assert found.apply(given) is given
    assert (found.held(), found.due(0.0, everything=True)) == ((), [])


def test_transforms_follow_one_another_in_a_fixed_order() -> None:
    counted = Counted()
    found = pipeline(
        counted,
        rate_limit="1/s",
        sample="0.999999",
        exclude_lines="never",
        level="auto",
        parser="regex",
        parser_regex=r"(?s)mail=(?P<mail>\S+).*key=(?P<key>\w+)",
        redact="email",
        multiline="^1",
    )
    found.apply(events(["1 ERROR mail=anna@shop.example", "key=x", "1 end"]))
    (got,) = found.due(0.0, everything=True)
    assert got.log == "1 end"
    found = pipeline(multiline="^1", redact="email", parser_regex=r"(?s)mail=(?P<mail>\S+).*key=(?P<key>\w+)")
    (got,) = found.apply(events(["1 mail=anna@shop.example", "key=x", "1 end"]))
    assert got.fields == {"mail": "[REDACTED:email]", "key": "x"}


def test_a_fault_in_a_transform_ships_lines_as_they_are_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = Counted()
    found = Pipeline([Step("odd", broken)], counted.counters())
    for _ in range(3):
        assert len(found.apply(events(["a", "b"]))) == 2
    assert counted.failed == {"odd": 6}
    assert [record.message for record in caplog.records] == ["fault in a transform"]


def test_what_could_not_be_redacted_is_not_shipped() -> None:
    counted = Counted()
    found = Pipeline([Step("redact", broken, protects=True)], counted.counters())
    assert found.apply(events(["secret"])) == []
    assert counted.dropped == {UNPROTECTED: 1}


def test_the_mark_of_an_event_is_where_it_begins() -> None:
    assert mark_of("0123456789ab.9f8e7d6c5b4a.00000000ff") == Mark("9f8e7d6c5b4a", 255)
    assert mark_of(event("x", 2).id) == Mark("g1", 512)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("2026-01-02T03:04:05.25Z", 1767323045.25),
        ("2026-01-02T03:04:05Z", 1767323045.0),
        ("2026-01-02T03:04:05.123456789Z", 1767323045.123456789),
        ("nonsense", 0.0),
        ("", 0.0),
    ],
)
def test_dockers_times_are_seconds(time: str, seconds: float) -> None:
    assert unix_seconds(time) == pytest.approx(seconds, abs=1e-6)
