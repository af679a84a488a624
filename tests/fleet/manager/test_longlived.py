from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from fleet.manager.longlived import LongLived


class Ring:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def now() -> Iterator[list[float]]:
    yield [0.0]
    gc.unfreeze()


def test_what_stays_is_set_aside_and_no_longer_looked_through(now: list[float]) -> None:
    long_lived = LongLived(lambda: 0, lambda: now[0])
    kept = [Ring() for _ in range(1000)]
    now[0] = 2.0
    long_lived.tick()
    assert gc.get_freeze_count() > len(kept)
    assert not any(isinstance(each, Ring) for each in gc.get_objects())
    long_lived.close()
    assert gc.get_freeze_count() == 0


def test_fresh_garbage_is_not_set_aside(now: list[float]) -> None:
    long_lived = LongLived(lambda: 0, lambda: now[0])
    gone = weakref.ref(Ring())
    now[0] = 2.0
    long_lived.tick()
    assert gone() is None


def test_what_has_become_garbage_since_is_found_in_the_end(now: list[float]) -> None:
    long_lived = LongLived(lambda: 0, lambda: now[0])
    kept = Ring()
    seen = weakref.ref(kept)
    now[0] = 2.0
    long_lived.tick()
    del kept
    gc.collect()
    assert seen() is not None
    now[0] = 3600.0
    long_lived.tick()
    assert seen() is None


def garbage(now: list[float], long_lived: LongLived) -> weakref.ref[Ring]:
    """Return something that is set aside, and garbage since."""
    kept = Ring()
    seen = weakref.ref(kept)
    now[0] += 2.0
    long_lived.tick()
    return seen


def test_after_many_connections_have_ended_everything_is_looked_through_when_it_is_calm(
    now: list[float],
) -> None:
    ended = [0]
    long_lived = LongLived(lambda: ended[0], lambda: now[0])
    seen = garbage(now, long_lived)
    for now[0], ended[0], gone in ((60.0, 1950, False), (120.0, 2500, False), (180.0, 2550, True)):
        long_lived.tick()
        assert (seen() is None) == gone


def test_peers_that_come_and_go_without_a_pause_do_not_fill_the_memory(now: list[float]) -> None:
    ended = [0]
    long_lived = LongLived(lambda: ended[0], lambda: now[0])
    for _ in range(2):
        seen = garbage(now, long_lived)
        ended[0] += 4999
        long_lived.tick()
        assert seen() is not None
        ended[0] += 1
        long_lived.tick()
        assert seen() is None


def test_whatever_else_makes_garbage_is_noticed_by_how_much_is_set_aside(now: list[float]) -> None:
    aside = [100_000]
    long_lived = LongLived(lambda: 0, lambda: now[0], lambda: aside[0])
    now[0] = 3600.0
    long_lived.tick()  # 100,000 stay
    seen = garbage(now, long_lived)
    for now[0], aside[0], gone in ((3620.0, 2_199_999, False), (3640.0, 2_200_000, True)):
        long_lived.tick()
        assert (seen() is None) == gone
