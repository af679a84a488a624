"""The keys of a policy: how each is read, its default, and what the documentation says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from compose_agent.config import Option, kinds
from compose_agent.config.kinds import Kind
from compose_agent.linear_regex import anchored
from compose_agent.matchers import matchers
from remediation.actions import ACTIONS
from remediation.model import TargetKind
from remediation.policies.model import Condition, Rate
from remediation.policies.windows import window
from remediation.rates import parse_rate, rate

T = TypeVar("T")

NONE = "none"
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%", re.ASCII)
_BREAKER = re.compile(r"(\d+)\s*(?:failures?)?\s*/\s*(\S+)", re.ASCII)


def _or_none(kind: Kind[T]) -> Kind[T | None]:
    def parse(text: str) -> T | None:
        return None if text == NONE else kind.parse(text)

    return Kind(kind.name, f"{kind.expected}, or {NONE}", parse)


def _share(text: str) -> float:
    found = _SHARE.fullmatch(text)
    if not found or not 0 < float(found[1]) <= 100:
        raise ValueError(text)
    return float(found[1]) / 100


def _backoff(text: str) -> tuple[float, float]:
    first, dots, last = text.partition("..")
    seconds = kinds.parse_duration(first.strip()), kinds.parse_duration(last.strip() if dots else first)
    if not 0 < seconds[0] <= seconds[1]:
        raise ValueError(text)
    return seconds


def _breaker(text: str) -> Rate:
    found = _BREAKER.fullmatch(text)
    if not found:
        raise ValueError(text)
    return parse_rate(f"{found[1]}/{found[2]}")


def _expression(text: str) -> str:
    anchored(text)
    return text


def _below(expected: str) -> Kind[Any]:
    """Return the kind of what is read key by key and never as a whole."""

    def parse(text: str) -> Any:
        raise ValueError(text)

    return Kind("mapping", expected, parse)


def _action(text: str) -> str:
    return kinds.choice(*ACTIONS).parse(text)


def _by_key(*options: Option) -> Mapping[str, Option]:
    return MappingProxyType({option.key: option for option in options})


_texts = _below("names with texts, as a mapping")
_share_kind = Kind("share", "a share above 0% and up to 100%", _share)
_backoff_kind = Kind("pauses", "two durations such as 10s..5m, the second one not shorter", _backoff)
_breaker_kind = Kind("breaker", "a number of failures and a duration, such as 3 failures/10m", _breaker)
_expression_kind = Kind("expression", "a regular expression, anchored at both ends", _expression)
action_name = Kind("action", "the name of an action", _action)

TARGET = _by_key(
    Option("kind", kinds.choice(*TargetKind), TargetKind.CONTAINER.value, "What is acted on."),
    Option(
        "labels",
        _texts,
        None,
        "Which labels of the signal name the target. Unset: `name` of a container, `compose_project` and "
        "`compose_service` of a Compose service, `service_name` of a Swarm service, `failover_group` of a "
        "fail-over group. The keys are `name`, or, of a Compose service, `project` and `service`.",
    ),
    Option(
        "selector",
        _texts,
        None,
        "Instead of `labels`: the target is whatever has these labels, of containers, with these values.",
    ),
    Option(
        "only",
        _expression_kind,
        None,
        "Targets whose whole name (`project/service` of a Compose service) does not match are left alone.",
    ),
    Option(
        "allow",
        kinds.string,
        None,
        "Patterns (`*`, `?`) of names that need no label `compose-agent.remediate`; several in a list.",
    ),
)
STEP = _by_key(
    Option("action", action_name, None, "What is done."),
    Option("with", _below("a mapping, see the action"), None, "The action's arguments."),
)
LIMITS = _by_key(
    Option("per-target", _or_none(rate), "3/10m", "How often this policy may act on one target."),
    Option("per-service", _or_none(rate), "6/10m", "How often it may act on all replicas of one service."),
    Option(
        "replicas-share",
        _share_kind,
        "50%",
        "How many of a service's replicas may be acted on at the same time; of several never the last one "
        "that is well.",
    ),
    Option(
        "backoff",
        _backoff_kind,
        "10s..5m",
        "The pause before a target is acted on again: the first, doubled with each action, up to the last.",
    ),
    Option(
        "breaker",
        _breaker_kind,
        "3 failures/10m",
        "After so many failures in a row nothing is done for so long, then one trial is made.",
    ),
)
VERIFY = _by_key(
    Option(
        "holds", kinds.duration, "10s", "How long the target must be healthy, or running without a check."
    ),
    Option(
        "within", kinds.positive_duration, "2m", "Until when that must have been so; else the action failed."
    ),
    Option("resolved", kinds.boolean, "false", "Whether the signal has to resolve too."),
    Option("query", kinds.string, None, "PromQL that must give something other than 0, too."),
)
POLICY = _by_key(
    Option(
        "match",
        matchers,
        None,
        "Signals that match lead to the action. Alertmanager's matchers, in one text or in a list, of which "
        "all must hold.",
    ),
    Option("target", _below("a mapping, or its kind alone"), None, "What is acted on; see below."),
    *STEP.values(),
    Option(
        "escalate",
        _below("actions, each by name or as a mapping of action and with"),
        None,
        "What is done next when an action did not help, in this order; several in a list.",
    ),
    Option(
        "condition",
        kinds.choice(*Condition),
        Condition.ANY.value,
        "What must still hold of the target when it is acted on.",
    ),
    Option("limits", _below("a mapping"), None, "How much is done at most; see below."),
    Option(
        "verify", _below(f"a mapping, or {NONE}"), None, "How it is told whether an action helped; see below."
    ),
    Option("dry-run", kinds.boolean, "false", "Decide and write down, but do nothing."),
    Option("approval", kinds.boolean, "false", "Wait until a person has approved each action."),
    Option("windows", window, None, "Times in which nothing is done; several in a list."),
    Option(
        "during-deployment",
        kinds.boolean,
        "false",
        "Act also while somebody else creates, removes or renames containers of the same project.",
    ),
    Option(
        "patience",
        kinds.positive_duration,
        "10m",
        "How long an action may wait for what holds it up before it is given up.",
    ),
    Option(
        "episode-ttl",
        kinds.positive_duration,
        "1h",
        "After so long without a word of a signal it counts as over, though it has not resolved.",
    ),
)
