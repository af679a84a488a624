"""The inventory's book: events in any order, repeated, and inspects that come too late."""

import random

import pytest

from compose_agent.dockerd import ledger as ledger_module
from compose_agent.dockerd.ledger import Ledger
from compose_agent.dockerd.model import Container
from compose_agent.dockerd.stream import Event

SECOND = 1_000_000_000


def box(container_id: str = "a", **changes: object) -> Container:
    known = {"name": container_id, "image": "i", "image_id": "s", "state": "running", **changes}
    return Container(id=container_id, **known)  # type: ignore[arg-type]


def event(action: str, at: float = 1.0, container_id: str = "a") -> Event:
    return Event(action, container_id, round(at * SECOND), {})


def filled(*containers: Container) -> Ledger:
    ledger = Ledger()
    for each in containers:
        ledger.put(each, expected=True)
    return ledger


@pytest.mark.parametrize(
    ("action", "inspect"),
    [
        *((each, True) for each in ("create", "start", "die", "pause", "unpause", "rename", "update", "oom")),
        ("health_status", True),
        *(
            (each, False)
            for each in ("destroy", "kill", "stop", "restart", "attach", "exec_create", "exec_die")
        ),
        *((each, False) for each in ("top", "resize", "export", "copy", "commit", "prune", "")),
    ],
)
def test_an_event_asks_for_an_inspect_if_it_changes_the_container(action: str, inspect: bool) -> None:
    assert filled(box()).apply(event(action)) is inspect


def test_a_container_that_is_not_known_yet_is_inspected() -> None:
    assert Ledger().apply(event("start"))


def test_destroy_removes_and_a_late_inspect_does_not_bring_it_back() -> None:
    ledger = filled(box())
    ledger.apply(event("destroy"))
    ledger.put(box(state="exited"), expected=True)
    assert ledger.snapshot() == ()
    assert not ledger.apply(event("die", 2.0))


def test_destroy_before_the_first_inspect_comes_back_leaves_nothing() -> None:
    ledger = Ledger()
    ledger.apply(event("create"))
    ledger.apply(event("destroy", 2.0))
    ledger.put(box(), expected=True)
    assert ledger.snapshot() == ()


def test_a_container_that_the_engine_no_longer_knows_is_gone() -> None:
    ledger = filled(box("a"), box("b"))
    ledger.forget("a")
    ledger.forget("never-heard-of")
    ledger.put(box("a"), expected=True)
    assert [each.id for each in ledger.snapshot()] == ["b"]


def test_what_was_not_listed_is_gone() -> None:
    ledger = filled(box("a"), box("b"), box("c"))
    ledger.retain(["b", "new"])
    assert [each.id for each in ledger.snapshot()] == ["b"]


def test_what_came_while_the_list_was_under_way_stays() -> None:
    ledger = filled(box("a"), box("b"))
    before = ledger.ids()
    ledger.put(box("c"), expected=True)
    ledger.retain(["b"], among=before)
    assert [each.id for each in ledger.snapshot()] == ["b", "c"]


def test_tombstones_are_kept_for_the_latest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_TOMBSTONES", 3)
    ledger = Ledger()
    for container_id in "abcde":
        ledger.forget(container_id)
    assert [each for each in "abcde" if not ledger.apply(event("start", container_id=each))] == [
        "c",
        "d",
        "e",
    ]


def test_the_snapshot_is_sorted_by_name() -> None:
    ledger = filled(box("1", name="web"), box("2", name="db"), box("3", name="db"))
    assert [(each.name, each.id) for each in ledger.snapshot()] == [("db", "2"), ("db", "3"), ("web", "1")]


def test_the_snapshot_is_the_same_object_until_something_changes() -> None:
    ledger = filled(box())
    before = ledger.snapshot()
    ledger.put(box(), expected=True)
    ledger.apply(event("start"))
    ledger.forget("other")
    ledger.retain(["a"])
    assert ledger.snapshot() is before
    ledger.put(box(state="paused"), expected=True)
    assert ledger.snapshot() is not before


def test_a_container_that_did_not_change_stays_the_same_object() -> None:
    ledger = filled(box("a"), box("b"))
    before = {each.id: each for each in ledger.snapshot()}
    ledger.put(box("b", state="paused"), expected=True)
    after = {each.id: each for each in ledger.snapshot()}
    assert after["a"] is before["a"]
    assert after["b"] is not before["b"]


def test_a_rename_is_what_the_next_inspect_says() -> None:
    ledger = filled(box(name="old"), box("b", name="m"))
    assert ledger.apply(event("rename"))
    ledger.put(box(name="zz"), expected=True)
    assert [each.name for each in ledger.snapshot()] == ["m", "zz"]


@pytest.mark.parametrize(
    ("before", "after", "expected", "missed"),
    [
        ("running", "exited", False, 1),
        ("running", "exited", True, 0),
        ("running", "running", False, 0),
        (None, "running", False, 1),
        (None, "running", True, 0),
    ],
)
def test_a_change_that_no_event_announced_is_counted(
    before: str | None, after: str, expected: bool, missed: int
) -> None:
    ledger = filled(*([box(state=before)] if before else []))
    ledger.put(box(state=after), expected=expected)
    assert ledger.missed_changes == missed


def test_the_stream_is_resumed_at_the_latest_event() -> None:
    ledger = Ledger()
    resumed = [ledger.resume_ns]
    for begin_ns in (3, 4):
        ledger.begin(begin_ns)
        resumed.append(ledger.resume_ns)
    for each in (event("start", 5.000000001), event("die", 4.0, "b"), event("exec_die", 6.5)):
        ledger.apply(each)
        resumed.append(ledger.resume_ns)
    assert resumed == [None, 3, 3, 5_000_000_001, 5_000_000_001, 6_500_000_000]


def test_an_event_out_of_order_is_not_lost() -> None:
    ledger = filled(box("a"), box("b"))
    assert ledger.apply(event("die", 5.0, "a"))
    assert ledger.apply(event("die", 4.0, "b"))


def test_two_events_of_one_moment_both_count() -> None:
    ledger = filled(box())
    assert [ledger.apply(event(each, 5.0)) for each in ("start", "die", "start")] == [True] * 3


def test_a_destroy_that_a_resumed_stream_repeats_does_no_harm() -> None:
    ledger = filled(box("a"), box("b"))
    for _ in range(2):
        ledger.apply(event("destroy"))
    assert [each.id for each in ledger.snapshot()] == ["b"]


def kills(ledger: Ledger, container_id: str = "a") -> int:
    return next(each.oom_kills for each in ledger.snapshot() if each.id == container_id)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1.0], 1),
        ([1.0, 1.003], 1),
        ([1.0, 2.5], 2),
        ([1.0, 1.0], 1),
        ([1.0, 2.5, 2.5], 2),
        ([2.5, 1.0], 1),
        ([3.0, 2.5, 3.0], 1),
        ([0.5 * n for n in range(21)], 11),
    ],
    ids=[
        "one",
        "one-as-two",
        "two",
        "repeated",
        "second-repeated",
        "late",
        "late-and-repeated",
        "without-a-pause",
    ],
)
def test_oom_kills_are_counted_once_each(times: list[float], expected: int) -> None:
    ledger = filled(box())
    for at in times:
        assert ledger.apply(event("oom", at))
    ledger.put(box(oom_killed=True), expected=True)
    assert kills(ledger) == expected


def test_a_kill_from_before_the_start_counts_by_its_flag() -> None:
    ledger = filled(box(oom_killed=True))
    assert kills(ledger) == 1
    ledger.put(box(oom_killed=False), expected=True)
    assert kills(ledger) == 1


def test_a_kill_that_the_event_told_first_is_not_counted_by_the_flag_again() -> None:
    ledger = Ledger()
    ledger.apply(event("oom"))
    ledger.put(box(oom_killed=True), expected=True)
    assert kills(ledger) == 1


def test_kills_of_one_container_are_not_those_of_another() -> None:
    ledger = filled(box("a"), box("b"))
    ledger.apply(event("oom", 1.0, "a"))
    ledger.apply(event("oom", 1.1, "b"))
    for container_id in "ab":
        ledger.put(box(container_id, oom_killed=True), expected=True)
    assert (kills(ledger, "a"), kills(ledger, "b")) == (1, 1)


def test_whatever_the_order_the_end_is_what_the_engine_last_said() -> None:
    rng = random.Random(7)  # noqa: S311 - the same shuffles in every run
    for _ in range(200):
        ledger, engine = Ledger(), dict[str, Container]()
        late: list[Container] = []
        for step in range(30):
            if engine and rng.random() < 0.3:
                late.append(engine.pop(rng.choice(sorted(engine))))
                ledger.apply(event("destroy", step, late[-1].id))
            else:
                changed = box(rng.choice([f"new-{step}", *engine]), restart_count=step)
                engine[changed.id] = changed
                ledger.apply(event("start", step, changed.id))
            answers = [*engine.values(), *late]
            for each in rng.sample(answers, rng.randint(0, len(answers))):
                ledger.put(each, expected=True)
        for each in engine.values():
            ledger.put(each, expected=True)
        assert {each.id: each for each in ledger.snapshot()} == engine


@pytest.mark.parametrize(("expected", "missed"), [(True, 0), (False, 1)])
def test_a_container_that_is_no_longer_listed_counts_as_missed_unless_it_was_expected(
    expected: bool, missed: int
) -> None:
    ledger = filled(box("a"), box("b"))
    ledger.retain(["a"], expected=expected)
    assert ledger.missed_changes == missed


def test_a_container_that_is_listed_again_comes_back() -> None:
    ledger = filled(box("a"))
    ledger.retain([])
    ledger.retain(["a"])
    ledger.put(box("a"), expected=True)
    assert [each.id for each in ledger.snapshot()] == ["a"]
