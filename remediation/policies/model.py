"""Policies as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from compose_agent.matchers import Matcher
from remediation.model import TargetKind
from remediation.policies.windows import Window


class Condition(StrEnum):
    """What must still hold of a target when it is acted on."""

    ANY = "any"
    UNHEALTHY = "unhealthy"
    NOT_RUNNING = "not-running"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class TargetRule:
    """How a target is found: by labels of the signal, or by labels of containers (``selector``).

    ``labels`` maps ``name`` (container, Swarm service, group) or ``project`` and ``service`` to labels of
    the signal.
    ``only`` is an anchored regular expression (RE2's common part) that the target's name must match.
    ``allow`` are globs of names that need no opt-in label.
    """

    kind: TargetKind
    labels: Mapping[str, str] = field(default_factory=dict)
    selector: Mapping[str, str] = field(default_factory=dict)
    only: str = ""
    allow: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder: an action by name, and its arguments."""

    action: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` actions in ``seconds``, refilled evenly (a token bucket)."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a policy may do at most; None for no limit of its own."""

    per_target: Rate | None = Rate(3, 600.0)
    per_service: Rate | None = Rate(6, 600.0)
    # No more than this share of a service's replicas may be acted on at the same time.
    replicas_share: float = 0.5
    backoff_first_seconds: float = 10.0
    backoff_last_seconds: float = 300.0
    # The breaker opens after so many failures in a row, and allows a trial after the pause.
    breaker_failures: int = 3
    breaker_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Verification:
    """What must hold after an action, within ``within`` seconds: healthy or running for ``holds`` seconds."""

    holds: float = 10.0
    within: float = 120.0
    resolved: bool = False  # the signal must resolve, too
    query: str = ""  # PromQL that must return something other than 0


@dataclass(frozen=True, slots=True)
class Policy:
    """Signals that match lead to the first step; a step that does not help leads to the next one.

    ``by_hand``: what it does is what a person does with it, such as to stop a container for good.
    """

    name: str
    match: Sequence[Matcher]
    target: TargetRule
    ladder: Sequence[Step]
    condition: Condition = Condition.ANY
    limits: Limits = Limits()
    verify: Verification | None = Verification()
    dry_run: bool = False
    approval: bool = False
    windows: Sequence[Window] = field(default=())  # maintenance: nothing is done in these
    during_deployment: bool = False
    by_hand: bool = False
    # How long a wish may wait for what holds it up, and how long an episode lasts without a signal.
    patience: float = 600.0
    episode_ttl: float = 3600.0
