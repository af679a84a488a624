"""What signals lead to, over a real journal: episodes and intents, and the signals that lead to nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from compose_agent.matchers import Matcher
from remediation.journal import Journal, Tx
from remediation.model import Episode, Intent, Reason, Signal, State, Target, TargetKind
from remediation.planner import Held, Planner, plan_all
from remediation.policies.model import Policy, Step, TargetRule
from remediation.world import World
from tests.remediation.samples import NOW, container, policy, replica, signal

WEB = Target(TargetKind.CONTAINER, "web")


class Policies:
    """Policies in their order."""

    def __init__(self, *policies: Policy) -> None:
        self.all = policies

    def matching(self, labels: dict[str, str]) -> Sequence[Policy]:
        """Return those whose matchers hold."""
        return [each for each in self.all if all(matcher.matches(labels) for matcher in each.match)]

    def named(self, name: str) -> Policy | None:
        """Return the policy of this name."""
        return next((each for each in self.all if each.name == name), None)


class Rig:
    """A planner over a journal, with a clock that stands until it is moved."""

    def __init__(self, path: Path, policies: Policies) -> None:
        self.now = NOW
        self.policies = policies
        self.journal = Journal(path, now=lambda: self.now)
        numbers = itertools.count(1)
        self.planner = Planner(lambda: policies, lambda: self.now, lambda: f"id{next(numbers)}")
        self.world = World()

    def send(self, *signals: Signal) -> None:
        """Receive signals and plan them."""
        self.journal.receive(signals)
        rows = self.journal.read(lambda view: view.inbox(100))
        self.journal.write(lambda tx: plan_all(self.planner, tx, rows, self.world, Held()))

    def intents(self) -> list[Intent]:
        """Return every intent, oldest first."""
        latest = self.journal.read(lambda view: view.latest_intents(100))
        return [intent for _, intent in reversed(latest)]

    def episode(self) -> Episode:
        """Return the last episode about web."""
        found = self.journal.read(lambda view: view.last_episode("restart-unhealthy", WEB))
        assert found is not None
        return found

    def end(self, state: State, reason: str = "", *, acted: bool = True) -> None:
        """End the last intent."""
        at = self.now if acted else 0.0
        ended = msgspec.structs.replace(
            self.intents()[-1], state=state, reason=reason, ended_at=self.now, acted_at=at
        )
        self.journal.write(lambda tx: tx.put_intent(ended))

    def reasons(self) -> dict[str, int]:
        """Return how often each reason was counted."""
        return {reason: count for (reason, _), count in self.journal.decisions().items()}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Return a rig with one policy."""
    rig = Rig(tmp_path, Policies(policy()))
    yield rig
    rig.journal.close()


def states(rig: Rig) -> list[State]:
    """Return the states of all intents."""
    return [each.state for each in rig.intents()]


def test_a_signal_opens_an_episode_with_one_intent(rig: Rig) -> None:
    rig.send(signal())
    (intent,) = rig.intents()
    assert (intent.target, intent.action, intent.state, intent.rung) == (WEB, "restart", State.PLANNED, 0)
    episode = rig.episode()
    assert (episode.fingerprint, episode.alert, episode.starts_at) == (
        "fp-web",
        "ContainerUnhealthy",
        NOW - 60,
    )
    assert rig.journal.read(lambda view: view.inbox_size()) == 0


def test_what_comes_again_counts_only(rig: Rig) -> None:
    rig.send(signal(), signal())
    rig.send(signal())
    assert states(rig) == [State.PLANNED]
    assert rig.episode().signals == 3
    assert rig.reasons() == {Reason.DUPLICATE: 2}


def test_an_alert_and_an_event_about_one_container_are_one_episode(rig: Rig) -> None:
    rig.send(signal(), signal(fingerprint="another", starts_at=NOW - 62))
    assert states(rig) == [State.PLANNED]


def test_what_resolves_before_anything_was_done_is_left_alone(rig: Rig) -> None:
    rig.send(signal(), signal(firing=False, ends_at=NOW))
    (intent,) = rig.intents()
    assert (intent.state, intent.reason) == (State.SUPPRESSED, Reason.RESOLVED)
    assert rig.episode().close_reason == "resolved"


def test_what_is_under_way_goes_on_when_the_alert_resolves(rig: Rig) -> None:
    rig.send(signal())
    rig.end(State.EXECUTING)
    rig.send(signal(firing=False, ends_at=NOW))
    assert states(rig) == [State.EXECUTING]
    assert (rig.episode().closed_at, rig.episode().resolved_at) == (0.0, NOW)


def test_what_comes_after_it_has_resolved_is_stale(rig: Rig) -> None:
    rig.send(signal(firing=False, ends_at=NOW), signal())
    assert rig.intents() == []
    assert rig.reasons() == {Reason.STALE: 1}


def test_what_began_before_one_that_has_resolved_is_stale(rig: Rig) -> None:
    """Its own end was never told, because it fired anew within Alertmanager's interval."""
    rig.send(signal(starts_at=NOW - 20))
    rig.end(State.DONE)
    rig.now += 20
    rig.send(signal(starts_at=NOW + 10), signal(firing=False, starts_at=NOW + 10, ends_at=NOW + 15))
    planned = len(rig.intents())

    rig.send(signal(starts_at=NOW - 20))
    assert len(rig.intents()) == planned
    assert rig.reasons()[Reason.STALE] == 1


def test_the_end_of_an_earlier_occurrence_ends_nothing(rig: Rig) -> None:
    rig.send(signal())
    rig.send(signal(firing=False, starts_at=NOW - 900, ends_at=NOW - 300))
    assert states(rig) == [State.PLANNED]
    assert rig.episode().closed_at == 0.0


@pytest.mark.parametrize(
    ("state", "reason", "again"),
    [
        (State.SUPPRESSED, Reason.BUDGET, True),
        (State.SUPPRESSED, Reason.DRY_RUN, False),
        (State.SUPPRESSED, Reason.DENIED, False),
        (State.DONE, "", False),
        (State.FAILED, "", False),
    ],
)
def test_a_repetition_after_the_end_of_an_intent(rig: Rig, state: State, reason: str, again: bool) -> None:
    rig.send(signal())
    rig.end(state, reason)
    rig.now += 300
    rig.send(signal())
    assert states(rig) == [state, *([State.PLANNED] if again else [])]


def test_an_alert_that_began_after_the_action_is_another_episode(rig: Rig) -> None:
    rig.send(signal())
    rig.end(State.DONE)
    first = rig.episode()
    rig.now += 60
    rig.send(signal(starts_at=rig.now - 5))
    assert states(rig) == [State.DONE, State.PLANNED]
    assert rig.episode().id != first.id
    closed = rig.journal.read(lambda view: view.episode(first.id))
    assert closed is not None
    assert closed.close_reason == "recurred"


@pytest.mark.parametrize(
    ("state", "starts_after", "kept"),
    [
        (State.VERIFYING, 1.0, True),
        (State.VERIFYING, -1.0, False),  # it was there when the action began
        (State.EXECUTING, 1.0, False),  # what it says is of before the action's end
    ],
)
def test_what_begins_while_an_action_is_verified_is_kept(
    rig: Rig, state: State, starts_after: float, kept: bool
) -> None:
    rig.send(signal())
    rig.end(state, acted=state is State.VERIFYING)
    again = signal(starts_at=rig.now + starts_after)
    rig.now += 60
    rig.send(again)
    assert states(rig) == [state]
    assert rig.episode().recurrence == (again if kept else None)
    rig.send(msgspec.structs.replace(again, firing=False))
    assert rig.episode().recurrence is None


def test_what_cannot_be_read_is_left_out_and_said(rig: Rig) -> None:
    held = Held()
    rig.journal.receive([signal()])
    ((number, found),) = rig.journal.read(lambda view: view.inbox(9))
    rig.journal.write(lambda tx: plan_all(rig.planner, tx, [(number, None)], rig.world, held))
    assert rig.journal.read(lambda view: view.inbox_size()) == 0
    assert rig.reasons() == {Reason.FAULT: 1}
    assert found == signal()


def test_an_old_episode_without_a_signal_makes_room_for_a_new_one(rig: Rig) -> None:
    rig.send(signal())
    rig.end(State.DONE)
    rig.now += 3601
    rig.send(signal())
    assert states(rig) == [State.DONE, State.PLANNED]


def test_what_nobody_tells_of_any_more_is_closed(rig: Rig) -> None:
    rig.send(signal())
    rig.now += 3601
    rig.journal.write(rig.planner.tidy)
    assert rig.episode().closed_at == 0.0  # its intent is still to be dealt with
    rig.end(State.DONE)
    rig.journal.write(rig.planner.tidy)
    assert rig.episode().close_reason == "expired"


def test_each_policy_and_each_target_has_an_episode_of_its_own(tmp_path: Path) -> None:
    front = TargetRule(TargetKind.CONTAINER, selector={"tier": "front"})
    rig = Rig(tmp_path, Policies(policy("one", target=front), policy("two", ladder=(Step("stop"),))))
    rig.world = World([replica("shop", "web", number, labels={"tier": "front"}) for number in (1, 2)])
    rig.send(signal())
    assert [(each.policy, each.target.name, each.action) for each in rig.intents()] == [
        ("one", "shop-web-1", "restart"),
        ("one", "shop-web-2", "restart"),
        ("two", "web", "stop"),
    ]
    rig.journal.close()


def test_what_no_policy_matches_is_said_once(rig: Rig) -> None:
    unknown = msgspec.structs.replace(signal(), name="Other")
    rig.send(unknown, unknown)
    assert rig.reasons() == {Reason.NO_POLICY: 1}
    assert rig.intents() == []


def test_what_names_no_target_is_said_once(rig: Rig) -> None:
    rig.send(signal(labels={}), signal(labels={}))
    assert rig.reasons() == {Reason.NO_TARGET: 1}


def test_what_a_selector_is_to_find_waits_for_the_engine(rig: Rig) -> None:
    """What comes after it about the same waits too, and everything else does not."""
    rule = TargetRule(TargetKind.CONTAINER, selector={"tier": "web"})
    others = Matcher("alertname", "=", "Other")
    rig.policies.all = (policy("selected", target=rule, match=(others,)), policy())
    other = msgspec.structs.replace(signal("x"), name="Other")
    rig.world = World((), "no Engine")
    rig.send(other, msgspec.structs.replace(other, firing=False), signal())
    assert [each.policy for each in rig.intents()] == ["restart-unhealthy"]
    assert rig.journal.read(lambda view: view.inbox_size()) == 2
    rig.world = World((container("web", labels={"tier": "web"}),))
    rig.send()
    planned = [(each.policy, each.reason) for each in rig.intents()]
    assert planned == [("restart-unhealthy", ""), ("selected", Reason.RESOLVED)]


def test_what_was_refused_of_one_container_says_nothing_of_the_next_of_its_name(rig: Rig) -> None:
    rig.world = World((container("web"),))
    rig.send(signal())
    asked = msgspec.structs.replace(
        rig.intents()[0], facts={"requests": [{"target": rig.world.containers[0].id}]}
    )
    rig.journal.write(lambda tx: tx.put_intent(asked))
    rig.end(State.SUPPRESSED, Reason.REFUSED)
    rig.send(signal())
    assert len(rig.intents()) == 1
    rig.world = World((container("web", id="f" * 64),))
    rig.send(signal())
    assert len(rig.intents()) == 2


def test_who_was_made_anew_may_have_opted_in(rig: Rig) -> None:
    rig.send(signal())
    rig.end(State.SUPPRESSED, Reason.NOT_OPTED_IN, acted=False)
    for created_at, intents in ((NOW - 1, 1), (NOW + 1, 2)):
        rig.world = World((container("web", created_at=created_at),))
        rig.send(signal())
        assert len(rig.intents()) == intents


def test_what_resolved_meanwhile_is_closed_also_when_its_next_step_never_began(rig: Rig) -> None:
    rig.send(signal())
    rig.journal.write(
        lambda tx: tx.put_intent(msgspec.structs.replace(rig_intent(tx), state=State.EXECUTING))
    )
    rig.send(signal(firing=False))
    rig.end(State.SUPPRESSED, Reason.BUDGET)
    rig.journal.write(rig.planner.tidy)
    assert rig.episode().close_reason == "resolved"


def rig_intent(tx: Tx) -> Intent:
    """Return the one planned intent."""
    (found,) = tx.in_state(State.PLANNED)
    return found
