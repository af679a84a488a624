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


@pytest.mark.parametrize(
    ("aside", "ended", "gone"),
    [
        (149_999, 0, False),
        (150_000, 0, True),
        (150_000, 1000, False),  # they come back by the thousand
        (299_999, 1000, False),
        (300_000, 1000, True),  # there is no waiting for the end of that
    ],
)
def test_when_much_more_is_set_aside_everything_is_looked_through(
    now: list[float], aside: int, ended: int, gone: bool
) -> None:
    counts = [0, 100_000]  # connections, objects
    long_lived = LongLived(lambda: counts[0], lambda: now[0], lambda: counts[1])
    now[0] = 3600.0
    long_lived.tick()  # 100,000 stay
    kept = Ring()
    seen = weakref.ref(kept)
    now[0] = 3602.0
    long_lived.tick()
    del kept
    counts[:] = ended, aside
    now[0] = 3612.0
    long_lived.tick()
    assert (seen() is None) == gone
