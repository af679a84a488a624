from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from log_forwarder.couriers import WindowCourier, window
from log_forwarder.couriers.trial import PROOFS
from log_forwarder.deadletters import FILE_NAME, DeadLetters
from log_forwarder.event import Batch
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Confirmation, LinkEnded, Parcel, Refusal, SinkUnavailable
from tests.log_forwarder.couriers.test_request import Impatient
from tests.log_forwarder.making import Owner, WindowMemory, make_batch, until


class Run:
    """A courier with its outbox, delivering in a thread."""

    def __init__(self, sink: WindowMemory, folder: Path = Path("/nonexistent")) -> None:
        self.owner = Owner()
        self.sink = sink
        self.outbox = Outbox(1_000_000)
        self.stop = threading.Event()
        self.abandon = Impatient()
        self.letters = DeadLetters(folder)
        self.courier = WindowCourier("fluentd", sink, self.outbox, self.letters, self.abandon)
        self.thread = threading.Thread(target=self.courier.run, args=(self.stop,), daemon=True)

    def put(self, *logs: str) -> Batch:
        batch = make_batch(*logs, owner=self.owner)
        assert self.outbox.put(batch, 0)
        return batch

    def finish(self) -> None:
        """Deliver everything there is."""
        self.outbox.close()
        self.stop.set()
        self.thread.start()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def sent(self) -> list[list[str]]:
        return [[parcel.id for parcel in connection] for connection in self.sink.connections]


@contextmanager
def running(run: Run) -> Iterator[None]:
    run.thread.start()
    try:
        yield
    finally:
        run.abandon.set()
        run.thread.join(20)
        assert not run.thread.is_alive()


def nothing(_sent: list[Parcel]) -> Iterable[str]:
    return ()


def breaking(times: int, after: int) -> Callable[[Parcel], None]:
    """Return a link that breaks so many times, with each ``after``-th parcel."""
    left = [times, 0]

    def send(_parcel: Parcel) -> None:
        left[1] += 1
        if left[0] and left[1] % after == 0:
            left[0] -= 1
            raise SinkUnavailable("broken pipe", unseen=True)

    return send


def test_confirmed_batches_are_settled_in_order() -> None:
    run = Run(WindowMemory())
    batches = [run.put("a", "b"), run.put("c")]
    run.finish()
    assert run.owner.batches == batches
    assert run.sent() == [["a+b", "c"]]
    tally = run.outbox.tally()
    assert (tally.sent, tally.held) == (3, 0)
    assert run.courier.health.attempts == 2
    assert run.sink.closed


def test_no_more_parcels_are_on_their_way_than_the_window_has() -> None:
    most = 0
    confirmed: set[str] = set()

    def answer(sent: list[Parcel]) -> Iterable[str]:
        nonlocal most
        open_ = [each.id for each in sent if each.id not in confirmed]
        most = max(most, len(open_))
        if len(open_) >= 3 or len(sent) == 10:
            confirmed.add(open_[0])
            yield open_[0]

    run = Run(WindowMemory(answer, window=3))
    for number in range(10):
        run.put(str(number))
    run.finish()
    assert most == 3
    assert len(run.owner.batches) == 10


def test_the_window_is_filled_before_an_answer_is_waited_for() -> None:
    waits: list[int] = []

    class Waiting(WindowMemory):
        def confirmed(self, wait: float) -> list[Confirmation]:
            if wait:
                waits.append(len(self.connections[-1]))
                return super().confirmed(wait)
            return []

    run = Run(Waiting(window=4))
    for number in range(4):
        run.put(str(number))
    run.finish()
    assert waits[0] == 4


def test_parcels_of_one_load_are_confirmed_one_by_one_before_it_is_settled() -> None:
    class Split(WindowMemory):
        def encode(self, batches: Iterable[Batch]) -> list[Parcel]:
            return [Parcel(event.log, b"") for batch in batches for event in batch.events]

    confirm: list[str] = []
    run = Run(Split(lambda _sent: confirm))
    run.put("a", "b", "c")
    with running(run):
        until(lambda: run.sent() == [["a", "b", "c"]])
        confirm[:] = ["c", "a"]
        looks = run.courier.health.attempts
        until(lambda: run.courier.health.last_success and looks)
        assert run.owner.batches == []
        confirm.append("b")
        until(lambda: run.owner.batches)


def test_what_was_not_confirmed_is_sent_first_and_in_order_on_the_next_connection() -> None:
    run = Run(WindowMemory(nothing, window=3))
    for text in "abcde":
        run.put(text)
    with running(run):
        until(lambda: run.sent() == [["a", "b", "c"]])
        run.sink.answer = breaking_once("b")
        until(lambda: len(run.sink.connections) == 2 and len(run.sink.connections[1]) == 3)
        assert run.sent()[1] == ["a", "c", "d"]
        assert run.courier.health.retried == 3
        run.sink.answer = lambda sent: [each.id for each in sent]
        until(lambda: len(run.owner.batches) == 5)
    assert run.sent()[1] == ["a", "c", "d", "e"]


def breaking_once(confirmed: str) -> Callable[[list[Parcel]], Iterable[str]]:
    """Return a peer that confirms one parcel, then breaks the link, then says nothing."""
    steps = [[confirmed], None]

    def answer(_sent: list[Parcel]) -> Iterable[str]:
        if not steps:
            return []
        step = steps.pop(0)
        if step is None:
            raise SinkUnavailable("connection reset", unseen=True)
        return step

    return answer


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_link_that_breaks_while_sending_loses_nothing(after: int) -> None:
    sink = WindowMemory(window=2)
    sink.on_send = breaking(5, after)
    run = Run(sink)
    for number in range(10):
        run.put(str(number))
    run.finish()
    assert len(run.owner.batches) == 10
    assert run.outbox.tally().sent == 10
    assert len(sink.connections) > 1


def test_a_peer_that_cannot_be_reached_is_tried_again() -> None:
    sink = WindowMemory()
    refusals = [SinkUnavailable("connection refused")] * 3

    def connect() -> None:
        if refusals:
            raise refusals.pop()

    sink.on_connect = connect
    run = Run(sink)
    run.put("a")
    run.finish()
    assert run.sent() == [["a"]]
    assert run.courier.health.failures == {"unavailable": 3}
    assert run.courier.health.retried == 0
    assert run.courier.health.error == ""


def test_what_holds_the_sink_up_is_told_while_nothing_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_TROUBLE_SECONDS", 0.1)
    sink = WindowMemory(nothing)
    run = Run(sink)
    run.put("a")
    with running(run):
        until(run.sent)
        assert run.courier.health.error == ""
        sink.trouble = "all brokers are down"
        until(lambda: run.courier.health.error == "all brokers are down")
        sink.answer = lambda sent: [each.id for each in sent]
        until(lambda: run.owner.batches)
        assert run.courier.health.error == ""
    assert run.sent() == [["a"]]
    assert run.courier.health.failures == {}


def test_trouble_is_no_news_while_lines_are_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_TROUBLE_SECONDS", 1.0)
    sink = WindowMemory()
    sink.trouble = "one broker of three is down"
    run = Run(sink)
    with running(run):
        ends, number = time.monotonic() + 1.5, 0
        while time.monotonic() < ends or number < 20:
            run.put(str(number))
            until(lambda number=number: len(run.owner.batches) > number)  # type: ignore[misc]
            assert run.courier.health.error == ""
            number += 1


def test_a_silent_peer_is_left_for_a_new_connection() -> None:
    run = Run(WindowMemory(nothing, answer_seconds=0.05))
    run.put("a")
    with running(run):
        until(lambda: len(run.sink.connections) >= 3)
        assert run.owner.batches == []
        assert run.courier.health.error == "no confirmation within 0.05 s"
        assert set(map(tuple, run.sent()[:2])) == {("a",)}


def test_a_confirmation_of_an_unknown_or_old_parcel_settles_nothing_twice() -> None:
    run = Run(WindowMemory(lambda sent: ["strange", "a", "a", *(each.id for each in sent)]))
    run.put("a")
    run.put("b")
    run.finish()
    assert len(run.owner.batches) == 2
    assert run.outbox.tally().sent == 2


def test_confirmations_may_come_in_any_order() -> None:
    dice = random.Random(3)  # noqa: S311 - a schedule
    open_: set[str] = set()

    def answer(sent: list[Parcel]) -> Iterable[str]:
        pending = [each.id for each in sent if each.id not in open_]
        chosen = dice.sample(pending, min(len(pending), dice.randrange(3)))
        open_.update(chosen)
        return chosen

    run = Run(WindowMemory(answer, window=8))
    for number in range(60):
        run.put(str(number))
    run.finish()
    assert len(run.owner.batches) == 60
    assert len(run.sink.connections) == 1


def test_batches_that_make_no_parcel_are_settled() -> None:
    run = Run(WindowMemory())
    batch = run.put()
    run.finish()
    assert run.owner.batches == [batch]
    assert run.outbox.held_bytes() == 0


def test_a_stop_waits_for_confirmations_and_giving_up_does_not() -> None:
    run = Run(WindowMemory(nothing))
    run.put("a")
    run.outbox.close()
    run.stop.set()
    with running(run):
        until(lambda: run.sent() == [["a"]])
        assert run.thread.is_alive()
    assert run.owner.batches == []
    assert run.outbox.tally().held == 1
    assert run.sink.closed


def test_giving_up_ends_attempts_to_connect() -> None:
    sink = WindowMemory()

    def connect() -> None:
        raise SinkUnavailable("connection refused", retry_after=60.0)

    sink.on_connect = connect
    run = Run(sink)
    run.put("a")
    with running(run):
        until(lambda: run.courier.health.failures)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_in_a_sink_does_not_end_delivery() -> None:
    sink = WindowMemory()
    faults = [ValueError("a third party's mistake")]

    def send(_parcel: Parcel) -> None:
        if faults:
            raise faults.pop()

    sink.on_send = send
    run = Run(sink)
    run.put("a")
    run.finish()
    assert len(run.owner.batches) == 1


def letters(folder: Path) -> dict[str, str]:
    """Return the reasons of the dead letters by their lines; fails if a line is there twice."""
    path = folder / FILE_NAME
    lines = path.read_bytes().splitlines() if path.exists() else []
    found = {letter["event"]["log"]: letter["reason"] for letter in map(json.loads, lines)}
    assert len(found) == len(lines)
    return found


def test_what_is_refused_is_a_dead_letter_and_no_line_that_was_sent(tmp_path: Path) -> None:
    sink = WindowMemory(most_bytes=1000)
    sink.refuse = lambda log: f"not {log}" if log.startswith("bad") else None
    run = Run(sink, tmp_path)
    run.put("a", "bad 1")
    run.put("bad 2", "b", "bad 3")
    run.put("c")
    run.finish()
    tally = run.outbox.tally()
    assert (tally.read, tally.sent, tally.dead_lettered, tally.held) == (6, 3, 3, 0)
    assert letters(tmp_path) == {f"bad {n}": f"not bad {n}" for n in (1, 2, 3)}


def test_a_refusal_that_cannot_be_written_down_leaves_the_batch_to_the_next_start(tmp_path: Path) -> None:
    sink = WindowMemory()
    sink.refuse = lambda log: "never" if log == "bad" else None
    run = Run(sink, tmp_path / "missing")
    run.put("a", "bad")
    with running(run):
        until(lambda: run.letters.error)
    assert run.owner.batches == []
    assert run.outbox.tally().held == 2


def test_a_refusal_of_a_batch_that_was_not_sent_is_a_fault_of_the_sink_and_loses_nothing(
    tmp_path: Path,
) -> None:
    class Confused(WindowMemory):
        stranger: Batch | None = make_batch("x")

        def confirmed(self, wait: float) -> list[Confirmation]:
            found = super().confirmed(wait)
            if self.stranger and found:
                refusal = Refusal(self.stranger, 0, "never")
                self.stranger = None
                return [Confirmation(each.id, [refusal]) for each in found]
            return found

    run = Run(Confused(), tmp_path)
    run.put("a")
    run.finish()
    assert run.courier.health.failures == {"unavailable": 1}
    assert run.sent() == [["a"], ["a"]]
    assert run.outbox.tally().sent == 1
    assert letters(tmp_path) == {}


class Touchy(WindowMemory):
    """Its peer ends the connection at each parcel with ``bad`` in a line; it confirms all others at once."""

    def __init__(self, *, window: int = 4, most_bytes: int = 1000) -> None:
        super().__init__(window=window, most_bytes=most_bytes)
        self.stored: list[str] = []
        self.on_send = self._meet
        self.well: Callable[[], bool] = lambda: True

    def _meet(self, parcel: Parcel) -> None:
        lines = parcel.data.decode().splitlines()
        if not self.well() or any("bad" in line for line in lines):
            raise LinkEnded("closed")
        self.stored += lines


def in_order(lines: list[str], stored: list[str]) -> bool:
    """Tell whether all lines were stored in their order, but for further copies of some of them."""
    left = iter(stored)
    return set(lines) == set(stored) and all(line in left for line in lines)


@pytest.mark.parametrize("bad", [[0], [7], [99], [0, 1, 2], [13, 50, 51], list(range(0, 100, 9)), [98, 99]])
@pytest.mark.parametrize("batches", [1, 5])
def test_lines_at_which_the_peer_ends_each_connection_are_found_and_all_others_arrive_in_order(
    tmp_path: Path, bad: list[int], batches: int
) -> None:
    lines = [f"bad {n}" if n in bad else f"good {n}" for n in range(100)]
    sink = Touchy()
    run = Run(sink, tmp_path)
    for at in range(0, 100, 100 // batches):
        run.put(*lines[at : at + 100 // batches])
    run.finish()
    tally = run.outbox.tally()
    assert (tally.read, tally.sent, tally.dead_lettered, tally.held) == (100, 100 - len(bad), len(bad), 0)
    assert in_order([line for line in lines if "good" in line], sink.stored)
    assert len(sink.stored) <= 100 + PROOFS * len(bad)
    found = letters(tmp_path)
    assert list(found) == [line for line in lines if "bad" in line]
    reason = f"at this line the peer ended {PROOFS} connections on which it took another: closed"
    assert set(found.values()) == {reason}
    assert len(run.owner.batches) == batches


def test_a_suspect_is_on_its_way_alone() -> None:
    sink = Touchy()
    run = Run(sink)
    together: list[int] = []

    def note() -> bool:
        if len(sink.connections) > 1:
            together.append(len(run.courier._sent))
        return False

    sink.well = note
    for number in range(4):
        run.put(str(number))
    with running(run):
        until(lambda: len(sink.connections) > 5)
    assert set(together) == {1}


def test_a_line_is_not_given_up_while_the_peer_takes_no_other(tmp_path: Path) -> None:
    sink = Touchy()
    sink.well = lambda: False
    run = Run(sink, tmp_path)
    run.put("good 1", "good 2", "good 3")
    run.put("good 4")
    with running(run):
        until(lambda: len(sink.connections) > 100)
        sink.well = lambda: True
        until(lambda: len(run.owner.batches) == 2)
    assert letters(tmp_path) == {}
    assert in_order([f"good {n}" for n in range(1, 5)], sink.stored)


@pytest.mark.parametrize("seed", range(20))
def test_servers_behind_one_address_of_which_most_end_every_connection_cost_no_line(
    tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a schedule
    well = [False]
    sink = Touchy(most_bytes=200)
    sink.on_connect = lambda: well.append(dice.random() < 0.3)
    sink.well = lambda: well[-1] and dice.random() < 0.9
    run = Run(sink, tmp_path)
    for number in range(0, 60, 3):
        run.put(*(f"good {n}" for n in range(number, number + 3)))
    run.finish()
    assert letters(tmp_path) == {}
    assert run.outbox.tally().sent == 60
    assert in_order([f"good {n}" for n in range(60)], sink.stored)


@pytest.mark.parametrize("window", [1, 2])
def test_a_line_alone_at_which_the_peer_ends_connections_waits_until_there_is_another(
    tmp_path: Path, window: int
) -> None:
    sink = Touchy(window=window)
    run = Run(sink, tmp_path)
    run.put("bad")
    with running(run):
        until(lambda: len(sink.connections) > 20)
        assert letters(tmp_path) == {}
        run.put("good")
        until(lambda: len(run.owner.batches) == 2)
    assert list(letters(tmp_path)) == ["bad"]


@pytest.mark.parametrize("error", [SinkUnavailable("silence"), ValueError("a mistake")])
def test_other_failures_at_a_line_are_no_reason_to_give_it_up(tmp_path: Path, error: Exception) -> None:
    sink = WindowMemory()

    def send(parcel: Parcel) -> None:
        if b"bad" in parcel.data:
            raise error

    sink.on_send = send
    run = Run(sink, tmp_path)
    run.put("good")
    run.put("bad 1", "bad 2")
    with running(run):
        until(lambda: len(sink.connections) > 30)
    assert letters(tmp_path) == {}
    assert {parcel.id for parcels in sink.connections for parcel in parcels} == {"good", "bad 1+bad 2"}


def test_lines_that_cannot_be_encoded_are_dead_letters_and_the_others_arrive(tmp_path: Path) -> None:
    class Picky(WindowMemory):
        def encode(self, batches: Sequence[Batch]) -> list[Parcel]:
            if any("bad" in event.log for batch in batches for event in batch.events):
                raise ValueError("a third party's mistake")
            return super().encode(batches)

    run = Run(Picky(), tmp_path)
    run.put("a", "bad 1", "b")
    run.put("bad 2")
    run.put("c")
    run.finish()
    assert letters(tmp_path) == {
        f"bad {n}": """it cannot be encoded: ValueError("a third party's mistake")""" for n in (1, 2)
    }
    assert [parcel for connection in run.sent() for parcel in connection] == ["a", "b", "c"]
    tally = run.outbox.tally()
    assert (tally.sent, tally.dead_lettered, tally.held) == (3, 2, 0)
