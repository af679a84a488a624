from __future__ import annotations

from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.webconfig import RateLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(bucket: TokenBucket, tries: int) -> int:
    return sum(bucket.take() for _ in range(tries))


def test_a_burst_passes_and_then_one_in_every_interval() -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimit(interval=2.0, burst=3), clock)
    assert taken(bucket, 5) == 3
    clock.now = 1.9
    assert taken(bucket, 5) == 0
    clock.now = 4.0
    assert taken(bucket, 5) == 2


def test_a_quiet_time_saves_up_no_more_than_a_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimit(interval=1.0, burst=3), clock)
    clock.now = 1000.0
    assert taken(bucket, 10) == 3
