from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from compose_agent.dockerd.verbs.model import Result, VerbRequest
from compose_agent.typed import from_json
from remediation.failover.active_passive import (
    COOL_SECONDS,
    RETRY_SECONDS,
    PassiveState,
    Phase,
    ended,
    next_step,
)
from remediation.failover.model import Attachment, Do, Group, Life, Member, Role, Step

GROUP = Group("shop/db")
ALIASED = Group("shop/db", alias="db", network="shop_default")
DB = Member("db-1", "1", Role.PRIMARY)
SPARE = Member("spare-1", "2", life=Life.STOPPED)
THIRD = Member("third-1", "3", life=Life.STOPPED)


def word(step: Step | None) -> str:
    return f"{step.do} {step.member}" if step else ""


class Course:
    """Carries steps out on members, one turn at a time."""

    def __init__(self, *members: Member, group: Group = GROUP, active: str = "db-1") -> None:
        self.group = group
        self.members = {each.name: each for each in members}
        self.state = PassiveState(active=active)
        self.now = 1000.0

    def be(self, name: str, **changes: object) -> None:
        self.members[name] = replace(self.members[name], **changes)  # type: ignore[arg-type]

    def step(self) -> Step | None:
        return next_step(self.group, self.state, list(self.members.values()), self.now)

    def turn(self, result: Result = Result.DONE) -> str:
        """Carry the next step out, and return it."""
        step = self.step()
        if step and result is Result.DONE:
            self.do(step)
        if step:
            ended(self.state, result, self.now)
        return word(step)

    def do(self, step: Step) -> None:
        match step.do:
            case Do.STOP:
                self.be(step.member, life=Life.STOPPED)
            case Do.START:
                self.be(step.member, life=Life.RUNNING, ailing=False)
            case Do.DISCONNECT:
                self.be(step.member, attachment=None)
            case Do.CONNECT:
                aliases = tuple(step.arguments["aliases"])
                self.be(step.member, attachment=Attachment(step.arguments["network"], aliases))

    def turns(self) -> list[str]:
        found = []
        while each := self.turn():
            found.append(each)
        return found


@pytest.mark.parametrize(
    ("members", "steps"),
    [
        ([DB, SPARE], []),
        ([replace(DB, ailing=True), SPARE], ["stop db-1", "start spare-1"]),
        ([replace(DB, life=Life.DIED), SPARE], ["start spare-1"]),
        # Who stops it does not want another one.
        ([replace(DB, life=Life.STOPPED), SPARE], []),
        ([replace(DB, life=Life.GONE), SPARE], []),
        # All of them are started by ``docker compose up``.
        ([DB, replace(SPARE, life=Life.RUNNING)], ["stop spare-1"]),
        (
            [DB, replace(SPARE, life=Life.RUNNING), replace(THIRD, life=Life.RUNNING)],
            ["stop spare-1", "stop third-1"],
        ),
        (
            [replace(DB, ailing=True), replace(SPARE, life=Life.RUNNING)],
            ["stop spare-1", "stop db-1", "start spare-1"],
        ),
        ([replace(DB, ailing=True)], []),
        ([replace(DB, ailing=True), replace(SPARE, life=Life.GONE)], []),
        ([replace(DB, ailing=True), replace(SPARE, life=Life.DIED), THIRD], ["stop db-1", "start third-1"]),
        ([replace(DB, ailing=True), replace(SPARE, life=Life.UNKNOWN), THIRD], []),
        ([replace(DB, life=Life.UNKNOWN), SPARE], []),
    ],
)
def test_what_is_done_for_members_that_stand_so(members: list[Member], steps: list[str]) -> None:
    assert Course(*members).turns() == steps


def test_the_new_one_keeps_its_place_and_the_old_one_is_stopped_when_somebody_starts_it() -> None:
    course = Course(replace(DB, ailing=True), SPARE)
    course.turns()
    assert course.state.active == "spare-1"
    course.be("db-1", life=Life.RUNNING, ailing=False)
    assert course.turns() == ["stop db-1"]
    course.be("spare-1", life=Life.STOPPED)
    course.be("db-1", life=Life.RUNNING)
    assert course.turns() == []  # a switch back by hand
    assert course.state.active == "db-1"


def test_nothing_is_started_while_the_stop_fails() -> None:
    course = Course(replace(DB, ailing=True), SPARE)
    for _ in range(3):
        assert course.turn(Result.FAILED) == "stop db-1"
        assert course.turn() == ""
        course.now += RETRY_SECONDS
    assert course.turns() == ["stop db-1", "start spare-1"]


def test_nothing_is_started_while_the_one_that_was_stopped_runs_all_the_same() -> None:
    course = Course(replace(DB, ailing=True), SPARE)
    assert course.turn() == "stop db-1"
    course.be("db-1", life=Life.RUNNING)
    assert course.turn() == "stop db-1"


@pytest.mark.parametrize("result", [Result.FAILED, Result.REFUSED, Result.UNKNOWN])
def test_one_that_cannot_be_started_is_followed_by_the_next_and_at_last_by_all_again(result: Result) -> None:
    course = Course(replace(DB, ailing=True), SPARE, THIRD)
    assert course.turn() == "stop db-1"
    for expected in ("spare-1", "third-1"):
        assert course.turn(result) == f"start {expected}"
        course.now += RETRY_SECONDS
    assert course.turn() == ""
    course.now += RETRY_SECONDS
    assert course.turns() == ["start db-1"]
    assert course.state.phase is Phase.STEADY


def test_one_that_may_have_come_up_is_stopped_before_the_next_is_tried() -> None:
    course = Course(replace(DB, ailing=True), SPARE, THIRD)
    course.turn()
    assert course.turn(Result.UNKNOWN) == "start spare-1"
    course.be("spare-1", life=Life.RUNNING)
    course.now += RETRY_SECONDS
    assert course.turns() == ["stop spare-1", "start third-1"]


def test_two_that_are_ill_do_not_take_turns() -> None:
    course = Course(replace(DB, ailing=True), SPARE)
    course.turns()
    course.be("spare-1", ailing=True)
    assert course.turns() == []
    course.now += COOL_SECONDS
    assert course.turns() == ["stop spare-1", "start db-1"]


def test_a_step_is_the_same_until_it_has_ended_and_over_a_restart() -> None:
    course = Course(replace(DB, ailing=True), SPARE)
    course.state.numbers.of = "i1"
    first = course.step()
    assert first is not None
    course.state = from_json(msgspec.json.encode(course.state), PassiveState)
    assert course.step() == first
    assert first.request() == VerbRequest(
        id="i1.1", verb="stop", target="1", reason="another of shop/db takes over"
    )
    course.turn()
    second = course.step()
    assert second
    assert (second.id, word(second)) == ("i1.2", "start spare-1")


def test_a_start_is_not_sent_any_more_when_somebody_has_started_another_one() -> None:
    course = Course(replace(DB, ailing=True), SPARE)
    course.turn()
    assert word(course.step()) == "start spare-1"
    course.be("db-1", life=Life.RUNNING, ailing=False)
    assert course.turns() == []
    assert course.state.active == "db-1"


@pytest.mark.parametrize(
    ("attachment", "steps", "after"),
    [
        (Attachment("shop_default", ("db",)), [], ("db",)),
        (
            Attachment("shop_default", ("spare",)),
            ["network_disconnect spare-1", "network_connect spare-1"],
            ("spare", "db"),
        ),
        (None, ["network_connect spare-1"], ("db",)),
    ],
)
def test_the_new_one_gets_the_alias_before_it_starts(
    attachment: Attachment | None, steps: list[str], after: tuple[str, ...]
) -> None:
    spare = replace(SPARE, attachment=attachment)
    course = Course(replace(DB, ailing=True), spare, group=ALIASED)
    assert course.turns() == ["stop db-1", *steps, "start spare-1"]
    assert course.members["spare-1"].attachment == Attachment("shop_default", after)


NAMES = ("db-1", "spare-1", "third-1")


class Failover(RuleBasedStateMachine):
    """A group on an Engine that does what it is asked, or does not, or does it and nobody hears of it."""

    def __init__(self) -> None:
        super().__init__()
        self.course = Course(DB, SPARE, THIRD, group=ALIASED)
        self.by_hand = False

    @initialize(attached=st.booleans())
    def begin(self, attached: bool) -> None:
        if attached:
            for name in NAMES:
                self.course.be(name, attachment=Attachment("shop_default", ("x",)))

    @rule(result=st.sampled_from([Result.DONE, Result.DONE, Result.FAILED, Result.REFUSED]))
    def turn(self, result: Result) -> None:
        self.carried_out_beside_nobody(result is Result.DONE)
        self.course.turn(result)

    @rule(done=st.booleans())
    def nobody_knows_what_became_of_it(self, done: bool) -> None:
        if step := self.course.step():
            self.carried_out_beside_nobody(done)
            if done:
                self.course.do(step)
            ended(self.course.state, Result.UNKNOWN, self.course.now)

    @rule(done=st.booleans())
    def the_keeper_crashes(self, done: bool) -> None:
        if step := self.course.step():
            self.carried_out_beside_nobody(done)
            if done:
                self.course.do(step)
        state = msgspec.json.encode(self.course.state)
        self.course.state = from_json(state, PassiveState)

    @rule(name=st.sampled_from(NAMES))
    def one_dies(self, name: str) -> None:
        if self.course.members[name].life is Life.RUNNING:
            self.course.be(name, life=Life.DIED)

    @rule(name=st.sampled_from(NAMES), ill=st.booleans())
    def one_is_ill_or_well(self, name: str, ill: bool) -> None:
        self.course.be(name, ailing=ill)

    @rule(name=st.sampled_from(NAMES))
    def somebody_stops_one(self, name: str) -> None:
        if self.course.members[name].life is Life.RUNNING:
            self.course.be(name, life=Life.STOPPED)

    @rule(name=st.sampled_from(NAMES))
    def somebody_starts_one(self, name: str) -> None:
        self.by_hand = True
        self.course.be(name, life=Life.RUNNING)

    @precondition(lambda self: self.by_hand)
    @rule()
    def in_peace_there_is_one_again(self) -> None:
        for _ in range(40):
            self.course.now += RETRY_SECONDS
            self.course.turn()
        assert len(self.running()) <= 1
        self.by_hand = False

    @rule(seconds=st.sampled_from([1.0, RETRY_SECONDS, COOL_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.course.now += seconds

    @invariant()
    def never_two_unless_by_hand(self) -> None:
        assert self.by_hand or len(self.running()) <= 1

    def carried_out_beside_nobody(self, done: bool) -> None:
        step = self.course.step()
        if step and done and step.do is Do.START:
            assert set(self.running()) <= {step.member}

    def running(self) -> list[str]:
        return [each.name for each in self.course.members.values() if each.life is Life.RUNNING]


TestFailover = Failover.TestCase
TestFailover.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
