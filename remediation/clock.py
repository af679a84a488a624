"""What becomes of times in the journal when the clock is set back.

They are of the clock by which people and the Engine go, because they have to outlive this process. A clock
that goes back, by an hour or by years after a start without a battery, would have everything wait until it is
where it was: intents, budgets, breakers, verifications. So what is noted for later than now is taken for now.
When it goes forward, what waits is over, which is right after a host has slept.
"""

from __future__ import annotations

import msgspec

from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.journal import Tx, View
from remediation.model import LIVE, Episode, Intent

# Steps of a clock that is merely kept right are smaller.
LEAST_SECONDS = 1.0


def is_ahead(view: View, now: float) -> bool:
    """Tell whether the journal was written by a clock that was set back since."""
    times = [each.at for each in view.buckets().values()]
    times += [each.failed_at for each in view.breakers().values()]
    times += [each.last_signal_at for each in view.open_episodes()]
    for intent in (each for state in LIVE for each in view.in_state(state)):
        times += [intent.created_at, intent.started_at, intent.acted_at]
    return max(times, default=0.0) > now + LEAST_SECONDS


def set_back(tx: Tx, now: float) -> None:
    """Have nothing in the journal wait for a time that this clock may reach in years only."""
    for key, bucket in tx.buckets().items():
        if bucket.at > now:
            tx.put_bucket(key, Bucket(bucket.tokens, now))
    for key, breaker in tx.breakers().items():
        if breaker.failed_at > now:
            tx.put_breaker(key, Breaker(breaker.failures, now, breaker.trial))
    for episode in tx.open_episodes():
        if (earlier := _of_episode(episode, now)) != episode:
            tx.put_episode(earlier)
    for intent in [each for state in LIVE for each in tx.in_state(state)] + tx.begun_after(now):
        if (sooner := _of_intent(intent, now)) != intent:
            tx.put_intent(sooner)


def _of_episode(episode: Episode, now: float) -> Episode:
    return msgspec.structs.replace(episode, last_signal_at=min(episode.last_signal_at, now))


def _of_intent(intent: Intent, now: float) -> Intent:
    return msgspec.structs.replace(
        intent,
        created_at=min(intent.created_at, now),
        not_before=min(intent.not_before, now),
        started_at=min(intent.started_at, now),
        acted_at=min(intent.acted_at, now),
        approved_at=min(intent.approved_at, now),
    )
