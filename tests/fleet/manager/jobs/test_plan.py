from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from compose_agent.typed import from_msgpack
from fleet.envelopes.command import Stage
from fleet.envelopes.verbs import Verb
from fleet.manager.commands.asked import Order
from fleet.manager.jobs.model import Job, Part, Spread, State
from fleet.manager.jobs.plan import Worker, after_end, assignments, exhausted, overdue, state_of

SMALL, BIG = Worker(b"s", 1), Worker(b"b", 3)


def job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": "j",
        "order": Order(verb=Verb.INSPECT),
        "spread": Spread.ANY,
        "selector": "",
        "nodes": [],
        "parallelism": 10,
        "retries": 0,
        "actor": "ann",
        "environments": [""],
        "issued": 0.0,
        "deadline": 100.0,
        "traceparent": "",
    }
    return Job(**(values | changes))


def parts(count: int) -> list[Part]:
    return [Part(number=number) for number in range(count)]


def out(part: Part, uid: bytes, stage: Stage = Stage.SENT) -> Part:
    return part.given("c", uid, "n", Stage.SENT).at(stage, "", {})


@pytest.mark.parametrize(
    ("count", "busy", "parallelism", "given"),
    [
        (4, {}, 10, [b"b", b"b", b"b", b"s"]),  # the share of each that is taken stays alike
        (9, {}, 10, [b"b", b"b", b"b", b"s"]),  # and nobody has more than there is room for
        (9, {b"b": 2}, 10, [b"b", b"s"]),
        (9, {b"b": 3, b"s": 1}, 10, []),
        (9, {}, 2, [b"b", b"b"]),
    ],
)
def test_parts_for_any_go_where_there_is_room(
    count: int, busy: Mapping[bytes, int], parallelism: int, given: Sequence[bytes]
) -> None:
    found = assignments(job(parallelism=parallelism), parts(count), [SMALL, BIG], busy)
    assert sorted(uid for _part, uid in found) == given


def test_a_part_that_failed_goes_to_somebody_who_has_not_tried_it() -> None:
    failed = out(parts(1)[0], BIG.uid, Stage.FAILED)
    again = after_end(job(retries=1), failed, 1.0)
    assert (again.stage, again.over) == (Stage.WAITING, False)
    assert [uid for _part, uid in assignments(job(retries=1), [again], [SMALL, BIG], {})] == [SMALL.uid]
    assert assignments(job(retries=1), [again], [BIG], {}) == []


def test_a_part_that_everybody_has_tried_ends_as_it_last_did() -> None:
    again = after_end(job(retries=5), out(parts(1)[0], BIG.uid, Stage.FAILED), 1.0)
    assert exhausted([again, *parts(1)], [SMALL.uid, BIG.uid]) == []
    (ended,) = exhausted([again, *parts(1)], [BIG.uid])
    assert (ended.stage, ended.over) == (Stage.FAILED, True)


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"retries": 0}, Stage.FAILED),
        ({"retries": 1, "spread": Spread.EACH}, Stage.FAILED),  # it is for its own node alone
        ({"retries": 1, "cancelled_by": "ann"}, Stage.FAILED),
        ({"retries": 1, "deadline": 1.0}, Stage.FAILED),
        ({"retries": 1}, Stage.UNKNOWN),  # it may have been done
        ({"retries": 1}, Stage.DONE),
    ],
)
def test_what_is_not_tried_again(changes: dict[str, Any], stage: Stage) -> None:
    ended = out(parts(1)[0], BIG.uid, stage)
    assert after_end(job(**changes), ended, 1.0) is ended


def test_parts_for_each_go_to_their_own_nodes_as_far_as_they_are_there() -> None:
    bound = [Part(number=number, uid=uid) for number, uid in enumerate([b"gone", b"s", b"b"])]
    one = job(spread=Spread.EACH, parallelism=1)
    assert [uid for _part, uid in assignments(one, bound, [SMALL, BIG], {})] == [b"s"]
    bound[1] = out(bound[1], b"s")
    assert assignments(one, bound, [SMALL, BIG], {}) == []


def test_what_has_no_more_time_ends() -> None:
    waiting, running = parts(2)
    running = out(running, b"s", Stage.UNANSWERED)
    assert overdue(job(), [waiting, running], 99.0, 5.0) == []
    assert [part.stage for part in overdue(job(), [waiting, running], 101.0, 5.0)] == [Stage.EXPIRED]
    late = overdue(job(), [waiting, running], 106.0, 5.0)
    assert [(part.stage, part.over) for part in late] == [(Stage.EXPIRED, True), (Stage.UNANSWERED, True)]
    (cancelled,) = overdue(job(cancelled_by="ann"), [waiting], 1.0, 5.0)
    assert cancelled.detail == "cancelled by ann"


@pytest.mark.parametrize(
    ("stages", "cancelled_by", "state"),
    [
        ([Stage.DONE, Stage.DONE], "", State.DONE),
        ([Stage.DONE, Stage.FAILED], "", State.PARTIAL),
        ([Stage.EXPIRED, Stage.FAILED], "", State.FAILED),
        ([Stage.DONE, Stage.EXPIRED], "ann", State.CANCELLED),
        ([Stage.DONE, Stage.RUNNING], "", State.RUNNING),
    ],
)
def test_a_job_stands_as_its_parts_do(stages: Sequence[Stage], cancelled_by: str, state: State) -> None:
    made = [out(part, b"s", stage) for part, stage in zip(parts(len(stages)), stages, strict=True)]
    assert state_of(job(cancelled_by=cancelled_by), made) is state


def test_a_large_result_stays_with_its_command() -> None:
    part = parts(1)[0].given("c", b"s", "n", Stage.SENT)
    assert part.at(Stage.DONE, "", {"a": 1}).result == {"a": 1}
    assert part.at(Stage.DONE, "", {"a": "x" * 5000}).result == {}
    assert from_msgpack(msgspec.msgpack.encode(part), Part) == part
