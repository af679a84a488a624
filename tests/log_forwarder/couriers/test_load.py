from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_forwarder.couriers.load import Load, lines_beside
from log_forwarder.event import Batch
from tests.log_forwarder.making import container, make_batch


def load_of(*sizes: int) -> Load:
    """Return a load of batches of these sizes, with lines that are numbered through."""
    numbers = iter(range(sum(sizes)))
    return Load.of([make_batch(*(str(next(numbers)) for _ in range(size))) for size in sizes])


def logs(load: Load) -> list[str]:
    return [event.log for batch in load.batches for event in batch.events]


@pytest.mark.parametrize(
    ("sizes", "first", "second"),
    [
        ([2], [[0]], [[1]]),
        ([5], [[0, 1]], [[2, 3, 4]]),
        ([2, 2], [[0, 1]], [[2, 3]]),
        ([1, 3], [[0], [1]], [[2, 3]]),
        ([0, 2, 0], [[], [0]], [[1], []]),
    ],
)
def test_halves_have_the_lines_in_their_order(
    sizes: list[int], first: list[list[int]], second: list[list[int]]
) -> None:
    halves = load_of(*sizes).halves()
    found = [[[int(event.log) for event in batch.events] for batch in half.batches] for half in halves]
    assert [[batch for batch in half if batch] for half in found] == [
        [batch for batch in half if batch] for half in (first, second)
    ]
    assert all(half.divided for half in halves)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_each_batch_is_settled_once_with_the_last_of_its_parts(sizes: list[int]) -> None:
    whole = load_of(*sizes)
    batches, lines = whole.batches, logs(whole)
    settled: list[Batch] = []
    delivered: list[str] = []

    def deliver(load: Load) -> None:
        if load.size > 1:
            for half in load.halves():
                deliver(half)
            return
        delivered.extend(logs(load))
        before = len(settled)
        load.close(lambda shipment: settled.append(shipment.batch))
        for batch in settled[before:]:
            assert {event.log for event in batch.events} <= set(delivered)

    deliver(whole)
    assert delivered == lines
    assert sorted(map(id, settled)) == sorted(map(id, batches))


def test_a_part_belongs_to_the_batch_it_was_cut_from() -> None:
    whole = load_of(4, 1)
    shipments = [piece.shipment for piece in whole.pieces]
    first, second = whole.halves()
    assert first.shipment_of(first.batches[0]) is shipments[0]
    assert [second.shipment_of(batch) for batch in second.batches] == shipments
    with pytest.raises(ValueError, match="not in the load"):
        first.shipment_of(second.batches[0])


def test_the_last_line_is_found_behind_empty_batches() -> None:
    last = load_of(2, 3, 0).last
    assert last is not None
    assert [event.log for event in last.events] == ["4"]
    assert load_of(0).last is None


def test_lines_of_other_containers_come_first_and_none_of_the_accused() -> None:
    accused = Load.of([make_batch("bad")])
    same, other = make_batch("same", "x"), make_batch("other", of=container("ef" * 32))
    loads = [accused, Load.of([same]), Load.of([make_batch(), other])]
    found = lines_beside(accused, [*loads, *loads])
    assert [[event.log for event in batch.events] for batch in found] == [["other"], ["same"]]
