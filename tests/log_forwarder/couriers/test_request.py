from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_forwarder.couriers import RequestCourier
from log_forwarder.deadletters import FILE_NAME, DeadLetters
from log_forwarder.event import Batch
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Answer, Entry, RequestTooLarge, SinkUnavailable
from tests.log_forwarder.making import Owner, RequestMemory, make_batch, until

Plan = Callable[[Sequence[Entry], bool], Answer | None]


class Impatient(threading.Event):
    """An event for giving up whose pauses take no time."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(min(timeout or 0.0, 0.001))


class Run:
    """A courier with its outbox, delivering in a thread."""

    def __init__(self, sink: RequestMemory, folder: Path) -> None:
        self.owner = Owner()
        self.sink = sink
        self.outbox = Outbox(1_000_000)
        self.folder = folder
        self.stop = threading.Event()
        self.abandon = Impatient()
        self.courier = RequestCourier("es", sink, self.outbox, DeadLetters(folder), self.abandon)
        self.thread = threading.Thread(target=self.courier.run, args=(self.stop,), daemon=True)

    def put(self, *logs: str, again: bool = False) -> Batch:
        batch = make_batch(*logs, owner=self.owner, again=again)
        assert self.outbox.put(batch, 0)
        return batch

    def finish(self) -> None:
        """Deliver everything there is."""
        self.outbox.close()
        self.stop.set()
        self.thread.start()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def stored(self) -> list[str]:
        return [event.log for event in self.sink.stored]

    def letters(self) -> dict[str, str]:
        path = self.folder / FILE_NAME
        lines = path.read_bytes().splitlines() if path.exists() else []
        return {letter["event"]["log"]: letter["reason"] for letter in map(json.loads, lines)}


def planned(*steps: Answer | Exception | None) -> Plan:
    """Return a plan that takes one step for each request, and stores all when they are used up."""
    left = list(steps)

    def plan(_entries: Sequence[Entry], _again: bool) -> Answer | None:
        step = left.pop(0) if left else None
        if isinstance(step, Exception):
            raise step
        return step

    return plan


@contextmanager
def running(run: Run) -> Iterator[None]:
    run.thread.start()
    try:
        yield
    finally:
        run.abandon.set()
        run.thread.join(20)
        assert not run.thread.is_alive()


def test_batches_are_stored_in_order_settled_and_counted(tmp_path: Path) -> None:
    run = Run(RequestMemory(), tmp_path)
    batches = [run.put("a", "b"), run.put("c")]
    run.finish()
    assert run.sink.requests == [(["a", "b", "c"], False)]
    assert run.owner.batches == batches
    tally = run.outbox.tally()
    assert (tally.sent, tally.held) == (3, 0)
    assert run.sink.closed


def test_a_request_has_no_more_entries_than_the_sink_takes(tmp_path: Path) -> None:
    run = Run(RequestMemory(most_events=2), tmp_path)
    run.put("a", "b", "c")
    run.put("d", "e")
    run.finish()
    assert [logs for logs, _ in run.sink.requests] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_batch_without_events_is_settled_without_a_request(tmp_path: Path) -> None:
    run = Run(RequestMemory(), tmp_path)
    batch = run.put()
    run.finish()
    assert run.owner.batches == [batch]
    assert run.sink.requests == []


@pytest.mark.parametrize(("unseen", "again"), [(False, False), (True, True)])
def test_what_may_be_stored_already_is_said_so(tmp_path: Path, unseen: bool, again: bool) -> None:
    failure = SinkUnavailable("gone", unseen=unseen)
    run = Run(RequestMemory(planned(failure, SinkUnavailable("gone"), None)), tmp_path)
    run.put("a")
    run.finish()
    assert [flag for _, flag in run.sink.requests] == [False, again, again]
    assert run.courier.health.retried == 2
    assert run.courier.health.attempts == 3
    assert run.courier.health.failures == {"unavailable": 2}


def test_an_unseen_answer_does_not_taint_the_next_batches(tmp_path: Path) -> None:
    run = Run(RequestMemory(planned(SinkUnavailable("gone", unseen=True)), most_bytes=1), tmp_path)
    run.put("a")
    run.put("b")
    run.finish()
    assert run.sink.requests == [(["a"], False), (["a"], True), (["b"], False)]


def test_batches_that_may_be_stored_travel_apart_and_first(tmp_path: Path) -> None:
    run = Run(RequestMemory(), tmp_path)
    run.put("a", again=True)
    run.put("b")
    run.put("c", again=True)
    run.finish()
    assert run.sink.requests == [(["a", "c"], True), (["b"], False)]


def test_rejected_entries_become_dead_letters_and_the_rest_is_stored(tmp_path: Path) -> None:
    run = Run(RequestMemory(planned(Answer(rejected={1: "wrong type"}))), tmp_path)
    run.put("a", "b")
    run.put("c")
    run.finish()
    assert run.stored() == ["a", "c"]
    assert run.letters() == {"b": "wrong type"}
    tally = run.outbox.tally()
    assert (tally.sent, tally.dead_lettered, tally.held) == (2, 1, 0)


def test_entries_that_are_refused_for_now_go_again_alone_and_in_order(tmp_path: Path) -> None:
    run = Run(RequestMemory(planned(Answer(again=(1, 3), rejected={0: "no"}), Answer(again=[0]))), tmp_path)
    run.put("a", "b", "c", "d")
    run.finish()
    assert [logs for logs, _ in run.sink.requests] == [["a", "b", "c", "d"], ["b", "d"], ["b"]]
    assert run.letters() == {"a": "no"}
    assert sorted(run.stored()) == ["b", "c", "d"]
    assert run.courier.health.retried == 3
    assert run.courier.health.failures == {"busy": 2}
    assert run.courier.health.error == ""


def test_a_request_that_is_too_large_is_halved_down_to_one_dead_letter(tmp_path: Path) -> None:
    def plan(entries: Sequence[Entry], _again: bool) -> Answer | None:
        if sum(len(entry.data) for entry in entries) > 4:
            raise RequestTooLarge("more than 4 bytes")
        return None

    run = Run(RequestMemory(plan), tmp_path)
    run.put("a", "bb", "ccccc", "dd", "e", "ff")
    run.finish()
    assert run.stored() == ["a", "bb", "dd", "e", "ff"]
    assert run.letters() == {"ccccc": "more than 4 bytes"}
    assert run.outbox.tally().dead_lettered == 1


def test_halves_of_what_may_be_stored_are_said_so(tmp_path: Path) -> None:
    steps = planned(SinkUnavailable("gone", unseen=True), RequestTooLarge("large"))
    run = Run(RequestMemory(steps), tmp_path)
    run.put("a", "b")
    run.finish()
    assert run.sink.requests == [(["a", "b"], False), (["a", "b"], True), (["a"], True), (["b"], True)]


def test_nothing_is_settled_before_all_of_it_is_stored(tmp_path: Path) -> None:
    down = threading.Event()
    down.set()

    def plan(entries: Sequence[Entry], _again: bool) -> Answer | None:
        if down.is_set() and entries[0].event.log == "c":
            raise SinkUnavailable("gone")
        return None

    run = Run(RequestMemory(plan, most_events=1), tmp_path)
    run.put("a", "b")
    run.put("c")
    with running(run):
        until(lambda: run.courier.health.retried > 2)
        assert run.owner.batches == []
        down.clear()
        until(lambda: len(run.owner.batches) == 2)


def test_a_stop_waits_for_what_is_in_the_outbox_and_giving_up_does_not(tmp_path: Path) -> None:
    def plan(_entries: Sequence[Entry], _again: bool) -> Answer | None:
        raise SinkUnavailable("gone")

    run = Run(RequestMemory(plan), tmp_path)
    run.put("a", "b")
    run.outbox.close()
    run.stop.set()
    with running(run):
        until(lambda: run.courier.health.attempts > 3)
        assert run.thread.is_alive()
    assert run.owner.batches == []
    assert run.outbox.tally().held == 2
    assert run.sink.closed


def test_giving_up_ends_a_wait_for_the_disk_of_dead_letters(tmp_path: Path) -> None:
    run = Run(RequestMemory(planned(Answer(rejected={0: "no"}))), tmp_path / "missing")
    run.put("a")
    with running(run):
        until(lambda: run.sink.requests)
    assert run.owner.batches == []
    assert run.outbox.tally().dead_lettered == 0


def test_giving_up_ends_a_sink_that_is_always_busy(tmp_path: Path) -> None:
    run = Run(RequestMemory(lambda entries, _again: Answer(again=range(len(entries)))), tmp_path)
    run.put("a", "b")
    with running(run):
        until(lambda: run.courier.health.failures["busy"] > 5)
    assert run.owner.batches == []


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_every_event_is_stored_or_dead_lettered_whatever_the_peer_answers(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int]
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a schedule

    def plan(entries: Sequence[Entry], _again: bool) -> Answer | None:
        match dice.randrange(6):
            case 0:
                raise SinkUnavailable("gone", unseen=dice.random() < 0.5)
            case 1:
                raise RequestTooLarge("large")
            case 2:
                fates = {at: dice.randrange(3) for at in range(len(entries))}
                return Answer(
                    rejected={at: "no" for at, fate in fates.items() if fate == 0},
                    again=[at for at, fate in fates.items() if fate == 1],
                )
        return None

    run = Run(RequestMemory(plan, most_events=4), tmp_path_factory.mktemp("run"))
    logs: list[str] = []
    for number, size in enumerate(sizes):
        batch = [f"{number}-{at}" for at in range(size)]
        logs += batch
        run.put(*batch, again=dice.random() < 0.3)
    run.finish()
    assert sorted([*run.stored(), *run.letters()]) == sorted(logs)
    tally = run.outbox.tally()
    assert (tally.sent, tally.dead_lettered, tally.held) == (len(run.stored()), len(run.letters()), 0)
    assert len(run.owner.batches) == len(sizes)


class Choosy(RequestMemory):
    """Has no use for lines that begin with "-", and cannot encode "!" or what stands beside it."""

    def encode(self, batch: Batch) -> list[Entry]:
        if any(event.log == "!" for event in batch.events):
            raise ValueError("a third party's mistake")
        return [
            Entry(batch, at, event.log.encode(), "dull" if event.log.startswith("-") else "")
            for at, event in enumerate(batch.events)
        ]


@pytest.mark.parametrize("bad", [[], ["!"]])
def test_what_the_sink_has_no_use_for_is_not_sent_and_counts_as_dropped(
    tmp_path: Path, bad: list[str]
) -> None:
    run = Run(Choosy(most_events=2), tmp_path)
    run.put("-1", "a", "-2", *bad, "b", "c")
    run.put("-3", "-4", again=True)
    run.finish()
    assert [logs for logs, _ in run.sink.requests] == [["a", "b"], ["c"]]
    assert sorted(run.letters()) == bad
    tally = run.outbox.tally()
    assert (tally.sent, tally.dropped, tally.held) == (3, {"dull": 4}, 0)
    assert tally.read == tally.sent + tally.dropped.total() + tally.dead_lettered
    assert len(run.owner.batches) == 2


def test_what_is_left_out_of_a_batch_that_is_not_settled_is_not_counted(tmp_path: Path) -> None:
    def plan(_entries: Sequence[Entry], _again: bool) -> Answer | None:
        raise SinkUnavailable("gone")

    run = Run(Choosy(plan), tmp_path)
    run.put("a", "-1")
    with running(run):
        until(lambda: run.courier.health.attempts > 1)
    tally = run.outbox.tally()
    assert (tally.read, tally.held, tally.dropped) == (2, 2, {})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_in_a_sink_does_not_end_delivery(tmp_path: Path) -> None:
    run = Run(RequestMemory(planned(ValueError("a third party's mistake"))), tmp_path)
    run.put("a")
    run.finish()
    assert run.stored() == ["a"]
