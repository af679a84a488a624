"""Kubernetes' HPA v2 written down as straightforwardly as its source has it, in fractions and plain lists."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from remediation.triggers.scaler.behaviour import Behaviour, Direction, Select
from remediation.triggers.scaler.desired import Replica


def replica_count(
    current: int, pods: list[Replica], target: Fraction, tolerance: Fraction, missing_value: Fraction
) -> int | None:
    """replica_calculator.go: calcPlainMetricReplicas."""
    metrics = {n: Fraction(pod.value) for n, pod in enumerate(pods) if pod.ready and pod.value is not None}
    unready = [n for n, pod in enumerate(pods) if not pod.ready]
    missing = [n for n, pod in enumerate(pods) if pod.ready and pod.value is None]
    ready_count = len(metrics)
    if not metrics:
        return None
    ratio = sum(metrics.values()) / len(metrics) / target
    scale_up_with_unready = bool(unready) and ratio > 1
    if not scale_up_with_unready and not missing:
        return current if abs(1 - ratio) <= tolerance else math.ceil(ratio * ready_count)
    if missing:
        if ratio < 1:
            metrics |= dict.fromkeys(missing, missing_value)
        elif ratio > 1:
            metrics |= dict.fromkeys(missing, Fraction(0))
    if scale_up_with_unready:
        metrics |= dict.fromkeys(unready, Fraction(0))
    fresh = sum(metrics.values()) / len(metrics) / target
    if abs(1 - fresh) <= tolerance or (ratio < 1 and fresh > 1) or (ratio > 1 and fresh < 1):
        return current
    count = math.ceil(fresh * len(metrics))
    if (fresh < 1 and count > current) or (fresh > 1 and count < current):
        return current
    return count


@dataclass
class Autoscaler:
    """horizontal.go: stabilizeRecommendationWithBehaviors, convertDesiredReplicasWithBehaviorRate."""

    behaviour: Behaviour
    least: int
    most: int
    recommendations: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, int]] = field(default_factory=list)  # positive for up

    def decide(self, current: int, desired: int, now: float) -> int:
        """Return the new count, and remember it as carried out."""
        stable = self._stabilize(current, desired, now)
        if current > self.most:
            wanted = self.most
        elif current < self.least:
            wanted = self.least
        elif stable > current:
            limit = max(current, self._limit(self.behaviour.up, current, now, up=True))
            wanted = min(stable, limit, self.most)
        elif stable < current:
            limit = min(current, self._limit(self.behaviour.down, current, now, up=False))
            wanted = max(stable, limit, self.least)
        else:
            wanted = current
        if wanted != current:
            self.events.append((now, wanted - current))
        return wanted

    def _stabilize(self, current: int, desired: int, now: float) -> int:
        up = down = desired
        for at, count in self.recommendations:
            if at > now - self.behaviour.up.window:
                up = min(up, count)
            if at > now - self.behaviour.down.window:
                down = max(down, count)
        self.recommendations.append((now, desired))
        result = current
        result = max(result, up)
        return min(result, down)

    def _limit(self, way: Direction, current: int, now: float, *, up: bool) -> int:
        if way.select is Select.DISABLED:
            return current
        proposals = []
        for policy in way.limits:
            recent = [change for at, change in self.events if at > now - policy.seconds]
            start = current - sum(recent)
            if policy.percent:
                share = Fraction(policy.amount, 100)
                proposals.append(math.ceil(start * (1 + share)) if up else int(start * (1 - share)))
            else:
                proposals.append(start + policy.amount if up else start - policy.amount)
        widest = max if up else min
        narrowest = min if up else max
        return (narrowest if way.select is Select.MIN else widest)(proposals)
