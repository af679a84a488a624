from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.dockerd.verbs.model import Result
from compose_agent.typed import from_json
from remediation.failover.active_active import RETRY_SECONDS, ActiveState, ended, next_step
from remediation.failover.model import Attachment, Do, Group, Life, Member, Mode, Step

GROUP = Group("shop/web", Mode.ACTIVE_ACTIVE)
HOME = Attachment("shop_default", ("web",), "10.0.0.7")
A, B, C = (Member(f"web-{each}", each, attachment=HOME) for each in "abc")


class Course:
    def __init__(self, *members: Member) -> None:
        self.members = {each.id: each for each in members}
        self.state = ActiveState()
        self.now = 0.0

    def be(self, key: str, **changes: object) -> None:
        self.members[key] = replace(self.members[key], **changes)  # type: ignore[arg-type]

    def step(self) -> Step | None:
        return next_step(GROUP, self.state, list(self.members.values()), self.now)

    def turn(self, result: Result = Result.DONE) -> str:
        step = self.step()
        if step is None:
            return ""
        if result is Result.DONE:
            given_back = Attachment(
                step.arguments["network"],
                tuple(step.arguments.get("aliases", ())),
                step.arguments.get("address", ""),
            )
            self.be(step.container, attachment=given_back if step.do is Do.CONNECT else None)
        ended(self.state, result, self.now)
        return f"{step.do} {step.container}"

    def turns(self) -> list[str]:
        found = []
        while each := self.turn():
            found.append(each)
        return found


def test_one_that_is_ill_leaves_and_comes_back_as_it_was() -> None:
    course = Course(A, B)
    assert course.turns() == []
    course.be("a", ailing=True)
    assert course.turns() == ["network_disconnect a"]
    course.state = from_json(msgspec.json.encode(course.state), ActiveState)
    assert course.turns() == []
    course.be("a", ailing=False)
    assert course.turns() == ["network_connect a"]
    assert course.members["a"].attachment == HOME
    assert course.turns() == []
    assert course.state.detached == {}


@pytest.mark.parametrize(
    "members",
    [
        [replace(A, ailing=True)],
        [replace(A, ailing=True), replace(B, ailing=True)],
        [replace(A, ailing=True), replace(B, attachment=None)],
        [replace(A, ailing=True), replace(B, life=Life.STOPPED)],
        [replace(A, ailing=True), B, replace(C, life=Life.UNKNOWN)],
        [replace(A, ailing=True, attachment=None), B],
    ],
)
def test_the_last_one_that_is_well_stays_and_nothing_is_begun_half_blind(members: list[Member]) -> None:
    assert Course(*members).turns() == []


def test_a_step_that_fails_is_tried_again_after_a_pause() -> None:
    course = Course(replace(A, ailing=True), B)
    assert course.turn(Result.FAILED) == "network_disconnect a"
    assert course.turn() == ""
    course.now += RETRY_SECONDS
    assert course.turn() == "network_disconnect a"


def test_what_somebody_attached_or_removed_is_not_attached_again() -> None:
    for change in ({"attachment": HOME}, {"life": Life.GONE}):
        course = Course(replace(A, ailing=True), B)
        course.turns()
        course.be("a", **change)
        course.be("a", ailing=False)
        assert course.turns() == []
        assert course.state.detached == {}


def test_one_that_we_did_not_take_out_is_not_brought_in() -> None:
    assert Course(replace(A, attachment=None), B).turns() == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from([Result.DONE, Result.FAILED])),
        max_size=60,
    )
)
def test_whatever_happens_somebody_is_attached_and_all_are_in_the_end(
    course_of_things: list[tuple[str, bool, Result]],
) -> None:
    course = Course(A, B, C)
    for key, ailing, result in course_of_things:
        course.be(key, ailing=ailing)
        course.now += RETRY_SECONDS
        course.turn(result)
        assert any(each.attachment for each in course.members.values())
    for key in "abc":
        course.be(key, ailing=False)
    course.now += RETRY_SECONDS
    course.turns()
    assert all(each.attachment == HOME for each in course.members.values())
