"""Whether the traces of actions have arrived whole at a collector."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from remediation.model import Intent, State
from remediation.traces.ids import trace_id

# What there is of an action that was done, and of one that never began.
_DONE = ("remediate", "decide", "commit", "execute", "engine", "verify")
_NEVER = ("remediate", "decide")


@dataclass(frozen=True, slots=True)
class Trees:
    """How many traces are complete; ``wrong`` says of the first ones what is missing."""

    intents: int
    complete: int
    repeated: int
    wrong: Sequence[str]

    @property
    def share(self) -> float:
        """The part that is complete."""
        return self.complete / self.intents if self.intents else 1.0


def judge(intents: Iterable[Intent], spans: Sequence[Span]) -> Trees:
    """Compare every action that has ended with what a collector has, spans that came twice once."""
    by_trace: Mapping[bytes, dict[bytes, Span]] = defaultdict(dict)
    for each in spans:
        by_trace[each.trace_id][each.span_id] = each
    ended = [each for each in intents if each.ended_at]
    found = [(each, missing(each, by_trace.get(trace_id(each.id), {}))) for each in ended]
    wrong = [f"{intent.id}: {words}" for intent, words in found if words]
    return Trees(len(ended), len(ended) - len(wrong), repeated(spans), wrong[:10])


def missing(intent: Intent, spans: Mapping[bytes, Span]) -> str:
    """Return what one trace lacks, empty when it is a tree of all that was done."""
    roots = [each.name for each in spans.values() if not each.parent_span_id]
    if len(roots) != 1:
        return f"{len(roots)} roots of {len(spans)} spans"
    orphans = [
        each.name for each in spans.values() if each.parent_span_id and each.parent_span_id not in spans
    ]
    if orphans:
        return f"parents are missing of {', '.join(orphans)}"
    kinds = {each.name.split()[0] for each in spans.values()}
    lacking = [each for each in (_DONE if intent.state is State.DONE else _NEVER) if each not in kinds]
    return f"there is no {', no '.join(lacking)}" if lacking else ""


def repeated(spans: Sequence[Span]) -> int:
    """Return how many spans had come before."""
    counts = Counter((each.trace_id, each.span_id) for each in spans)
    return sum(counts.values()) - len(counts)
