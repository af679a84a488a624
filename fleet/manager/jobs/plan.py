"""What is to be done next for a job, from how it and the nodes stand. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fleet.envelopes.command import Stage
from fleet.manager.jobs.model import Job, Part, Spread, State

# Of these nothing was done, or it was done and did not work: somebody else may be asked.
_MAY_GO_ELSEWHERE = frozenset({Stage.FAILED, Stage.REFUSED, Stage.EXPIRED})


@dataclass(frozen=True, slots=True)
class Worker:
    """A node that could take a part; ``capacity`` is at least 1."""

    uid: bytes
    capacity: int


def after_end(job: Job, part: Part, now: float) -> Part:
    """Return a part whose command has ended: ended itself, or to be given to another node."""
    may_go = job.spread is Spread.ANY and part.stage in _MAY_GO_ELSEWHERE and not job.cancelled_by
    if may_go and len(part.attempts) <= job.retries and now < job.deadline:
        return part.again()
    return part


def overdue(job: Job, parts: Iterable[Part], now: float, grace: float) -> list[Part]:
    """Return the parts that end because their time, or the job's, is over."""
    found = []
    for part in parts:
        if part.over:
            continue
        if part.stage is Stage.WAITING and (job.cancelled_by or now >= job.deadline):
            why = f"cancelled by {job.cancelled_by}" if job.cancelled_by else "the job's time was over"
            found.append(part.ended(Stage.EXPIRED, part.detail or why))
        elif part.stage is Stage.UNANSWERED and now >= job.deadline + grace:
            found.append(part.ended(Stage.UNANSWERED, part.detail))
    return found


def exhausted(parts: Iterable[Part], uids: Collection[bytes]) -> list[Part]:
    """Return the parts that end as they last did, because every one of the nodes ``uids`` has tried them."""
    found = []
    for part in parts:
        tried = {attempt.uid for attempt in part.attempts}
        if part.stage is Stage.WAITING and not part.over and tried and tried.issuperset(uids):
            last = part.attempts[-1]
            found.append(part.ended(last.stage, f"{last.detail}, and no other node has not tried it"))
    return found


def assignments(
    job: Job, parts: Sequence[Part], workers: Sequence[Worker], busy: Mapping[bytes, int]
) -> list[tuple[Part, bytes]]:
    """Return which parts are given out now, and to whom; ``busy`` is how many parts each node has already."""
    room = job.parallelism - sum(part.is_out for part in parts)
    waiting = [part for part in parts if part.stage is Stage.WAITING and not part.over]
    if job.spread is Spread.EACH:
        known = {each.uid for each in workers}
        return [(part, part.uid) for part in waiting if part.uid in known][: max(0, room)]
    found: list[tuple[Part, bytes]] = []
    loads = Counter(busy)
    for part in waiting:
        if len(found) >= room:
            break
        if (worker := _best(part, workers, loads)) is not None:
            loads[worker.uid] += 1
            found.append((part, worker.uid))
    return found


def _best(part: Part, workers: Sequence[Worker], loads: Mapping[bytes, int]) -> Worker | None:
    """Return the node that would be the least full with it; None when all that may have it are full."""
    tried = {attempt.uid for attempt in part.attempts}
    free = [each for each in workers if each.uid not in tried and loads.get(each.uid, 0) < each.capacity]
    return min(free, key=lambda each: ((loads.get(each.uid, 0) + 1) / each.capacity, each.uid), default=None)


def state_of(job: Job, parts: Sequence[Part]) -> State:
    """Return how a job stands by its parts."""
    if not all(part.over for part in parts):
        return State.RUNNING
    done = sum(part.stage is Stage.DONE for part in parts)
    if done == len(parts):
        return State.DONE
    if job.cancelled_by:
        return State.CANCELLED
    return State.PARTIAL if done else State.FAILED
