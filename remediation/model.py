"""What remediation speaks of: signals, targets, episodes, intents."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from compose_agent.boottime import Moment


class Source(StrEnum):
    """Where a signal comes from."""

    ALERTMANAGER = "alertmanager"
    EVENT = "event"
    PROBE = "probe"
    QUERY = "query"
    TRIGGER = "trigger"  # a CloudEvent posted to /v1/triggers
    SCALER = "scaler"
    FAILOVER = "failover"  # a fail-over group is not as it should be
    COMMAND = "command"  # somebody asks for it


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """Something that fires or no longer does: an alert, or what a trigger of this host has seen.

    ``fingerprint`` names what it is about and stays the same while it fires and resolves; with ``starts_at``
    it names the occurrence. Times are Unix seconds. Labels only select: they never become commands.
    """

    source: Source
    name: str  # the alert's name, or the type of the trigger
    fingerprint: str
    firing: bool
    starts_at: float
    ends_at: float = 0.0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    received_at: float = 0.0
    traceparent: str = ""


class TargetKind(StrEnum):
    """What an action is done to."""

    CONTAINER = "container"
    SERVICE = "service"  # of Compose
    SWARM_SERVICE = "swarm-service"
    GROUP = "group"  # containers that take over from one another


class Target(msgspec.Struct, frozen=True):
    """A container or Swarm service by name, a Compose service or a group as ``project/name``."""

    kind: TargetKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


class State(StrEnum):
    """Where an intent is. The last four are ends."""

    PLANNED = "planned"
    EXECUTING = "executing"
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    ESCALATED = "escalated"
    SUPPRESSED = "suppressed"


LIVE = (State.PLANNED, State.EXECUTING, State.VERIFYING)


class Reason(StrEnum):
    """Why something was not done, or not yet; the label of metrics and the word that ``why`` explains."""

    NO_POLICY = "no_policy"
    NO_TARGET = "no_target"
    NOT_ALLOWED = "not_allowed"  # the policy's own limits on what it may touch
    NOT_OPTED_IN = "not_opted_in"
    DUPLICATE = "duplicate"
    RESOLVED = "resolved"
    STALE = "stale"
    RECOVERED = "recovered"  # the condition no longer holds
    DRY_RUN = "dry_run"
    FROZEN = "frozen"
    BUDGET = "budget"
    REPLICAS = "replicas"  # too few of the service would be left
    BACKOFF = "backoff"
    BREAKER = "breaker"
    WINDOW = "window"
    SILENCED = "silenced"
    DEPLOYMENT = "deployment"
    MANUAL_STOP = "manual_stop"
    ENGINE_AWAY = "engine_away"
    APPROVAL = "approval"
    DENIED = "denied"
    REFUSED = "refused"  # by the actor
    EXPIRED = "expired"  # a command whose deadline has passed
    NO_CHANGE = "no_change"  # the world is as the action would make it
    FAULT = "fault"  # this program's own


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One action that is to be done to one target, or was, or was not.

    ``rung`` counts from 0 along the policy's ladder of actions. ``not_before`` and ``reason`` say how long
    and why a planned intent waits. ``detail`` is a sentence. Times are Unix seconds, 0 for not yet. After
    ``begin_by`` nothing of it is begun.
    """

    id: str
    episode: str
    policy: str
    target: Target
    action: str
    arguments: dict[str, Any] = {}
    rung: int = 0
    state: State = State.PLANNED
    reason: str = ""
    detail: str = ""
    dry_run: bool = False
    begin_by: Moment | None = None
    approved_by: str = ""
    approved_at: float = 0.0
    created_at: float = 0.0
    not_before: float = 0.0
    started_at: float = 0.0
    acted_at: float = 0.0
    ended_at: float = 0.0
    # What verification compares with, and what the actor answered.
    facts: dict[str, Any] = {}


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """A policy and a target from the first signal until it resolved, was mended, or is too old.

    It has at most one live intent. ``signals`` counts how often it was told of. ``resolved_at`` is when the
    signal resolved while an action was under way, with which the episode then ends. ``recurrence`` is a
    signal that began after what is now verified: it is planned when that has ended.
    """

    id: str
    policy: str
    target: Target
    fingerprint: str
    alert: str
    starts_at: float
    opened_at: float
    last_signal_at: float
    received_at: float = 0.0  # the first signal, by the receiver
    resolved_at: float = 0.0
    closed_at: float = 0.0
    close_reason: str = ""
    recurrence: Signal | None = None
    signals: int = 1
    labels: dict[str, str] = {}
    traceparent: str = ""
