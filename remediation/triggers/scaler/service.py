"""The decisions for one service, over time: a state machine without I/O or clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from remediation.model import Signal, Source
from remediation.triggers.scaler.behaviour import History, limited, note_change, stabilized
from remediation.triggers.scaler.desired import Replica, by_average, by_value
from remediation.triggers.scaler.rules import ScaleRule
from remediation.triggers.signals import firing, resolved

NAME = "ServiceScale"
# A clone takes a second or two, and the last of many some more. Whatever is not so by then was refused, or
# undone by a person: what there is counts again.
PATIENCE_SECONDS = 60.0


class ServiceState(msgspec.Struct):
    """What is known of a service: its history, and the decision that is not carried out yet, if any."""

    history: History = msgspec.field(default_factory=History)
    wanted: int = 0
    decided_at: float = 0.0
    told: Signal | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What there is of a service: its containers, and what was measured.

    ``count`` is how many containers it has, ``replicas`` are those that run. ``value`` is that of the whole
    service, for a rule whose metric is a query; None when it is not known.
    """

    count: int
    replicas: Sequence[Replica]
    value: float | None = None


def decide(rule: ScaleRule, state: ServiceState, seen: Observed, now: float) -> list[Signal]:
    """Return what fires (a decision) and what resolves (it is carried out, or given up).

    One decision at a time: while it is carried out, recommendations are only remembered. A service of which
    nothing runs was stopped by somebody, and is left alone.
    """
    signals = _settled(state, seen, now)
    current = state.wanted if state.told else seen.count
    if not seen.replicas:
        return signals
    desired = _recommended(rule, seen, current)
    wanted = _wanted(rule, state, current, desired, now)
    if state.told or wanted == current:
        return signals
    note_change(state.history, current, wanted, rule.behaviour, now)
    state.wanted, state.decided_at = wanted, now
    state.told = _signal(rule, current, wanted, desired, now)
    return [*signals, state.told]


def _settled(state: ServiceState, seen: Observed, now: float) -> list[Signal]:
    told = state.told
    if told is None or (seen.count != state.wanted and now - state.decided_at < PATIENCE_SECONDS):
        return []
    state.told = None
    return [resolved(told, now)]


def _wanted(rule: ScaleRule, state: ServiceState, current: int, desired: int | None, now: float) -> int:
    """Return the count to decide on, ``current`` for none.

    Without a measurement only the bounds count, which need none.
    """
    within = rule.clamped(current)
    if desired is None:
        return within
    steady = stabilized(state.history, current, rule.clamped(desired), rule.behaviour, now)
    if within != current:
        return within
    return rule.clamped(limited(state.history, current, steady, rule.behaviour, now))


def _recommended(rule: ScaleRule, seen: Observed, current: int) -> int | None:
    if rule.is_query:
        ready = sum(each.ready for each in seen.replicas)
        if seen.value is None or not ready:
            return None
        return by_value(current, ready, seen.value, rule.target, rule.tolerance)
    coming = [Replica(None, ready=False)] * max(0, current - seen.count)
    return by_average(
        current,
        [*seen.replicas, *coming],
        rule.target,
        missing=rule.missing_value,
        tolerance=rule.tolerance,
    )


def _signal(rule: ScaleRule, current: int, wanted: int, desired: int | None, now: float) -> Signal:
    labels = {
        "compose_project": rule.project,
        "compose_service": rule.service,
        "replicas": str(wanted),
    }
    asked = f"; its {rule.metric_word} asks for {desired}" if desired not in (None, wanted) else ""
    summary = f"service {rule.project}/{rule.service} is to have {wanted} replicas, not {current}{asked}"
    return firing(Source.SCALER, NAME, labels, now, summary)
