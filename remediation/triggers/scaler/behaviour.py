"""How fast a recommendation is followed: HPA v2's stabilisation windows and rate policies (horizontal.go)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec


class Select(StrEnum):
    """Which of several rates counts: that of the largest change, of the smallest, or none at all."""

    MAX = "max"
    MIN = "min"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``amount`` replicas, or percent of them, more or fewer within ``seconds``."""

    amount: int
    seconds: float
    percent: bool = False

    def raised(self, count: int) -> int:
        """Return the most that ``count`` may grow to."""
        if not self.percent:
            return count + self.amount
        return math.ceil(count * (100 + self.amount) / 100)

    def lowered(self, count: int) -> int:
        """Return the least that ``count`` may shrink to."""
        if not self.percent:
            return count - self.amount
        return int(count * (100 - self.amount) / 100)


@dataclass(frozen=True, slots=True)
class Direction:
    """One way, up or down: the cautious extreme of the recommendations within ``window`` seconds counts."""

    window: float
    limits: tuple[RateLimit, ...]
    select: Select = Select.MAX


_UP = Direction(0.0, (RateLimit(4, 15.0), RateLimit(100, 15.0, percent=True)))
_DOWN = Direction(300.0, (RateLimit(100, 15.0, percent=True),))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Both ways, by default as Kubernetes has them."""

    up: Direction = field(default=_UP)
    down: Direction = field(default=_DOWN)


DEFAULT = Behaviour()


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """A number of replicas at a time (Unix seconds): a recommendation, or the size of a change."""

    at: float
    count: int


class History(msgspec.Struct):
    """What is remembered of a service: recommendations and changes, as far as the windows reach.

    Of recommendations only those are kept that can still be an extreme: ``highs`` fall and ``lows`` rise from
    the oldest to the newest.
    """

    highs: list[Moment] = []
    lows: list[Moment] = []
    ups: list[Moment] = []
    downs: list[Moment] = []


def stabilized(history: History, current: int, desired: int, behaviour: Behaviour, now: float) -> int:
    """Return ``current``, moved no further than every recommendation of the windows agrees to.

    ``desired`` is remembered for the next time.
    """
    history.lows = _after(history.lows, now - behaviour.up.window)
    history.highs = _after(history.highs, now - behaviour.down.window)
    at_least = min(desired, history.lows[0].count) if history.lows else desired
    at_most = max(desired, history.highs[0].count) if history.highs else desired
    fresh = Moment(now, desired)
    history.lows = [*(each for each in history.lows if each.count < desired), fresh]
    history.highs = [*(each for each in history.highs if each.count > desired), fresh]
    return min(max(current, at_least), at_most)


def limited(history: History, current: int, wanted: int, behaviour: Behaviour, now: float) -> int:
    """Return ``wanted``, brought as near to ``current`` as the rates demand."""
    if wanted > current:
        most = _most(behaviour.up, history, current, now)
        return min(wanted, max(current, most))
    if wanted < current:
        least = _least(behaviour.down, history, current, now)
        return max(wanted, min(current, least))
    return wanted


def note_change(history: History, before: int, after: int, behaviour: Behaviour, now: float) -> None:
    """Remember a change that was decided, for the rates of the periods to come."""
    longest = max((each.seconds for way in (behaviour.up, behaviour.down) for each in way.limits), default=0)
    history.ups = _after(history.ups, now - longest)
    history.downs = _after(history.downs, now - longest)
    if after > before:
        history.ups.append(Moment(now, after - before))
    elif after < before:
        history.downs.append(Moment(now, before - after))


def _most(way: Direction, history: History, current: int, now: float) -> int:
    if way.select is Select.DISABLED or not way.limits:
        return current
    return _selected(
        way, max, min, (each.raised(_at_begin(each, history, current, now)) for each in way.limits)
    )


def _least(way: Direction, history: History, current: int, now: float) -> int:
    if way.select is Select.DISABLED or not way.limits:
        return current
    return _selected(
        way, min, max, (each.lowered(_at_begin(each, history, current, now)) for each in way.limits)
    )


def _selected(
    way: Direction,
    widest: Callable[[Iterable[int]], int],
    narrowest: Callable[[Iterable[int]], int],
    proposals: Iterable[int],
) -> int:
    return (narrowest if way.select is Select.MIN else widest)(proposals)


def _at_begin(limit: RateLimit, history: History, current: int, now: float) -> int:
    """Return how many replicas there were when the period of this limit began."""
    added = sum(each.count for each in _after(history.ups, now - limit.seconds))
    removed = sum(each.count for each in _after(history.downs, now - limit.seconds))
    return current - added + removed


def _after(moments: list[Moment], cutoff: float) -> list[Moment]:
    return [each for each in moments if each.at > cutoff]
