from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_forwarder.event import Batch
from log_forwarder.outbox import Outbox, Tally
from tests.log_forwarder.making import Owner, make_batch, until

NOW = 0.0


def balanced(tally: Tally) -> bool:
    return tally.read == tally.sent + tally.dropped.total() + tally.dead_lettered + tally.held


def test_batches_come_out_in_their_order_up_to_a_size() -> None:
    outbox = Outbox(1000)
    batches = [make_batch("a", size=100), make_batch("b", size=200), make_batch("c", size=300)]
    for batch in batches:
        assert outbox.put(batch, NOW)
    assert outbox.take(300, NOW) == batches[:2]
    assert outbox.take(300, NOW) == batches[2:]
    assert outbox.take(300, NOW) == []


def test_one_batch_above_the_size_is_taken_alone() -> None:
    outbox = Outbox(10_000)
    big, small = make_batch("big", size=5000), make_batch("small", size=1)
    for batch in (big, small):
        outbox.put(batch, NOW)
    assert outbox.take(100, NOW) == [big]
    assert outbox.take(100, NOW) == [small]


def test_what_does_not_fit_waits_until_something_is_settled_not_only_taken() -> None:
    outbox = Outbox(150)
    first, second = make_batch("a"), make_batch("b")
    assert outbox.put(first, NOW)
    assert not outbox.put(second, NOW)
    assert outbox.take(1000, NOW) == [first]
    assert not outbox.put(second, NOW)
    outbox.settle(first, sent=1)
    assert outbox.put(second, NOW)


def test_a_batch_above_the_limit_goes_alone() -> None:
    outbox = Outbox(10)
    big = make_batch("big", size=500)
    assert outbox.put(big, NOW)
    assert not outbox.put(make_batch("next", size=1), NOW)
    outbox.take(1000, NOW)
    outbox.settle(big, sent=1)
    assert outbox.put(make_batch("next", size=1), NOW)


def test_a_batch_that_is_refused_is_not_counted() -> None:
    outbox = Outbox(100)
    outbox.put(make_batch("a"), NOW)
    outbox.put(make_batch("b"), NOW)
    assert outbox.tally() == Tally(read=1, held=1)


def test_a_lossy_outbox_drops_what_does_not_fit_and_settles_it() -> None:
    owner = Owner()
    outbox = Outbox(100, lossy=True)
    kept, dropped = make_batch("a", "b"), make_batch("c", "d", "e", owner=owner)
    assert outbox.put(kept, NOW)
    assert outbox.put(dropped, NOW)
    assert owner.batches == [dropped]
    tally = outbox.tally()
    assert (tally.read, tally.held, dict(tally.dropped)) == (5, 2, {"queue_full": 3})
    assert outbox.held_bytes() == 100


def test_settling_tells_the_owner_and_the_observer_and_frees_the_bytes() -> None:
    seen: list[Batch] = []
    owner = Owner()
    outbox = Outbox(100, observe=seen.append)
    batch = make_batch("a", "b", "c", owner=owner)
    outbox.put(batch, NOW)
    outbox.take(1000, NOW)
    outbox.settle(batch, sent=2, dead_lettered=1)
    assert seen == owner.batches == [batch]
    assert outbox.tally() == Tally(read=3, sent=2, dead_lettered=1)
    assert outbox.held_bytes() == 0


def test_what_is_left_out_on_purpose_is_counted_by_reason() -> None:
    outbox = Outbox(100)
    outbox.drop(2, "filtered")
    outbox.drop(1, "sampled")
    tally = outbox.tally()
    assert dict(tally.dropped) == {"filtered": 2, "sampled": 1}
    assert balanced(tally)


def test_a_tally_is_a_copy() -> None:
    outbox = Outbox(100)
    outbox.tally().dropped["never"] += 1
    assert not outbox.tally().dropped


def test_a_closed_outbox_takes_nothing_and_gives_what_it_has() -> None:
    outbox = Outbox(1000)
    batch = make_batch("a")
    outbox.put(batch, NOW)
    outbox.close()
    assert not outbox.put(make_batch("b"), 60.0)
    assert outbox.take(1000, 60.0) == [batch]
    assert outbox.take(1000, 60.0) == []


@pytest.mark.parametrize("waits", ["put", "take"])
def test_closing_wakes_whoever_waits(waits: str) -> None:
    outbox = Outbox(1)
    if waits == "put":
        outbox.put(make_batch("first"), NOW)
        thread = threading.Thread(target=outbox.put, args=(make_batch("second"), 600.0))
    else:
        thread = threading.Thread(target=outbox.take, args=(1, 600.0))
    thread.start()
    outbox.close()
    thread.join(20)
    assert not thread.is_alive()


def settle_some(outbox: Outbox, dice: random.Random) -> None:
    """Settle what can be taken, in any order, with any number of dead letters."""
    taken = outbox.take(300, 0.01)
    dice.shuffle(taken)
    for batch in taken:
        dead = dice.randrange(len(batch.events) + 1)
        outbox.settle(batch, sent=len(batch.events) - dead, dead_lettered=dead)


@pytest.mark.parametrize("lossy", [False, True])
def test_every_line_is_accounted_for_at_every_moment(lossy: bool) -> None:
    outbox = Outbox(500, lossy=lossy)
    owner = Owner()
    rounds = 400
    wrong: list[Tally] = []
    done = threading.Event()

    def write() -> None:
        for number in range(rounds):
            batch = make_batch(*("x" * (1 + number % 7)), owner=owner, size=50 + number % 200)
            while not outbox.put(batch, 0.01):
                pass

    def send() -> None:
        dice = random.Random(1)  # noqa: S311 - a schedule
        while len(owner.batches) < rounds:
            settle_some(outbox, dice)

    def look() -> None:
        while not done.is_set():
            if not balanced(tally := outbox.tally()):
                wrong.append(tally)

    threads = [threading.Thread(target=each, daemon=True) for each in (write, send)]
    looker = threading.Thread(target=look, daemon=True)
    for thread in (*threads, looker):
        thread.start()
    until(lambda: not any(thread.is_alive() for thread in threads))
    done.set()
    looker.join(20)
    assert wrong == []
    tally = outbox.tally()
    assert tally.read == sum(1 + number % 7 for number in range(rounds))
    assert (tally.held, outbox.held_bytes()) == (0, 0)
    assert lossy or not tally.dropped


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "settle"]), st.integers(0, 300)), max_size=40))
def test_whatever_happens_in_one_thread_adds_up(steps: list[tuple[str, int]]) -> None:
    outbox = Outbox(400)
    waiting: list[Batch] = []
    for step, size in steps:
        if step == "put":
            outbox.put(make_batch("a", "b", size=size), NOW)
        elif step == "take":
            waiting += outbox.take(size, NOW)
        elif waiting:
            outbox.settle(waiting.pop(size % len(waiting)), sent=2)
        assert balanced(outbox.tally())
        assert outbox.held_bytes() <= 400


def test_events_that_the_sink_has_no_use_for_are_part_of_the_sum() -> None:
    outbox = Outbox(1000)
    batch = make_batch("a", "b", "c", "d")
    outbox.put(batch, NOW)
    outbox.drop(2, "dull")
    outbox.settle(batch, sent=1, dead_lettered=1, dropped={"dull": 1, "late": 1})
    tally = outbox.tally()
    assert tally.dropped == {"dull": 3, "late": 1}
    assert balanced(tally)
