"""When a count is taken, and when it is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from compose_agent.errors import ComposeAgentError
from log_forwarder.sinks import kind_of, parse
from log_forwarder.verify.course import Counting, Report, RunningCourse
from log_forwarder.verify.lines import Plan

PLAN = Plan("m", 3)
WHOLE = ("m 1 .", "m 2 .", "m 3 .")


@dataclass
class Scripted:
    """A course that says one thing after the other, and the last one for ever."""

    name: str
    all_there: list[bool | None]
    stored: list[tuple[str, ...]]
    ordered: bool = True
    counted: int = field(default=0)

    def has_all(self, container_id: str) -> bool | None:
        return self.all_there.pop(0) if len(self.all_there) > 1 else self.all_there[0]

    def texts(self, marker: str) -> Iterator[str]:
        self.counted += 1
        return iter(self.stored.pop(0) if len(self.stored) > 1 else self.stored[0])


def count(*courses: Scripted, timeout: float = 20.0, written: list[bool] | None = None) -> list[Report]:
    said = written or [True]
    counting = Counting(PLAN, courses, timeout=timeout, stop=threading.Event())
    return list(counting.reports("1" * 64, lambda: said.pop(0) if len(said) > 1 else said[0]))


def test_nothing_is_counted_while_lines_are_on_their_way() -> None:
    course = Scripted("a", [None, False, True], [WHOLE])
    (report,) = count(course)
    assert (report.tally.exact, course.counted) == (True, 1)


def test_nothing_is_counted_before_the_writer_has_ended() -> None:
    course = Scripted("a", [True], [WHOLE])
    count(course, written=[False, False, True])
    assert course.counted == 1


def test_a_count_that_is_not_complete_is_taken_again() -> None:
    (report,) = count(Scripted("a", [True], [WHOLE[:2], (*WHOLE, "m 1 .")]))
    assert (report.tally.lost, report.tally.repeated) == (0, 1)


def test_each_course_has_a_report_of_its_own() -> None:
    slow, quick = Scripted("slow", [False, False, True], [WHOLE]), Scripted("quick", [True], [WHOLE])
    assert [each.course.name for each in count(slow, quick)] == ["quick", "slow"]


def test_what_is_not_there_in_time_is_lost() -> None:
    (report,) = count(Scripted("a", [False], [WHOLE[1:]]), timeout=0.5)
    assert report.tally.lost == 1
    assert report.seconds > 0.5


def test_a_forwarder_that_has_not_the_container_loses_nothing() -> None:
    with pytest.raises(ComposeAgentError, match="ships nothing of the container 111111111111 to a: check"):
        count(Scripted("a", [None], [()]), timeout=0.1)


def test_it_can_be_stopped() -> None:
    stop = threading.Event()
    stop.set()
    counting = Counting(PLAN, [Scripted("a", [True], [WHOLE])], timeout=20, stop=stop)
    with pytest.raises(ComposeAgentError, match="stopped"):
        next(counting.reports("1" * 64, lambda: True))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, True),
        ({"behind_bytes": 1}, False),
        ({"batches_on_their_way": 1}, False),
        ({"sink": "other"}, None),
        ({"container_id": "2" * 64}, None),
    ],
)
def test_positions_say_whether_a_sink_has_all(row: dict[str, Any], said: bool | None) -> None:
    word = parse("file:///x")
    read_back = kind_of(word).read_back
    assert read_back is not None
    rest = {"sink": word.name, "container_id": "1" * 64, "behind_bytes": 0, "batches_on_their_way": 0}
    course = RunningCourse(word, read_back, lambda: [rest | row])
    assert course.has_all("1" * 64) is said
    assert course.ordered
