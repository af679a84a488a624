"""From a YAML document to policies, with everything that is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from compose_agent.config.fields import Fields
from compose_agent.config.yamlfile import Node
from compose_agent.errors import ConfigError, Problem
from compose_agent.matchers import Matcher
from remediation.policies.keys import LIMITS, NONE, POLICY, VERIFY
from remediation.policies.model import Condition, Limits, Policy, Verification
from remediation.policies.read_ladder import read_ladder
from remediation.policies.read_target import read_target
from remediation.policies.reading import Reading, values_of
from remediation.triggers.query import SECTION, Query, read_queries
from remediation.triggers.scaler.rules import AREA, ScaleRule, read_rules

_TOP = "policies"
# Of the same file, for what makes signals.
_OTHERS = (SECTION, AREA)
# Names become labels of metrics and parts of ids.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Sections:
    """All that a document says: policies in its order, queries to be asked, and services to be scaled."""

    policies: tuple[Policy, ...]
    queries: tuple[Query, ...] = ()
    scaling: tuple[ScaleRule, ...] = ()


def read_sections(root: Node, file: str) -> Sections:
    """Return what a document says; ConfigError lists all that is wrong, by line."""
    reading = Reading(file)
    top = Fields(root, "", file, (_TOP, *_OTHERS), reading.problems)
    if top.node(_TOP) is None:
        what = f"{_TOP} is missing or empty, expected a mapping of policies by name, or {{}} for none"
        top.problem(_TOP, what)
    entries = reading.named(top.node(_TOP), _TOP)
    found = [_policy(reading, entries, name) for name in entries.entries]
    queries, scaling = read_queries(reading, top.node(SECTION)), read_rules(reading, top.node(AREA))
    if reading.problems:
        raise ConfigError(sorted(reading.problems, key=_line))
    return Sections(tuple(found), queries, scaling)


def _line(problem: Problem) -> int:
    return int(problem.where.rpartition(":")[2])


def _policy(reading: Reading, entries: Fields, name: str) -> Policy:
    """Return a policy, which is of no use when anything was found to be wrong."""
    if not _NAME.fullmatch(name):
        what = "is no name of a policy: expected up to 63 of a-z, 0-9 and . _ -, a letter or digit first"
        entries.problem(name, f"'{name}' {what}")
    path = f"{_TOP}.{name}"
    fields = reading.fields(entries.entries[name], path, POLICY)
    target = read_target(reading, f"{path}.target", fields.node("target"))
    return Policy(
        name=name,
        match=_match(reading, path, fields),
        target=target,
        ladder=read_ladder(reading, path, fields, target.kind),
        condition=Condition(fields.option(POLICY["condition"])),
        limits=_limits(reading, path, fields),
        verify=_verify(reading, path, fields),
        dry_run=fields.option(POLICY["dry-run"]),
        approval=fields.option(POLICY["approval"]),
        windows=fields.each(POLICY["windows"]),
        during_deployment=fields.option(POLICY["during-deployment"]),
        patience=fields.option(POLICY["patience"]),
        episode_ttl=fields.option(POLICY["episode-ttl"]),
    )


def _match(reading: Reading, path: str, fields: Fields) -> tuple[Matcher, ...]:
    option, before = POLICY["match"], len(reading.problems)
    found = tuple(matcher for each in fields.each(option) for matcher in each)
    if len(reading.problems) > before:
        return found
    if not found:
        fields.problem("match", f"{path} has no match, expected {option.kind.expected}")
    elif all(matcher.matches({}) for matcher in found):
        what = "would match every signal: add a matcher that does not match an empty value"
        fields.problem("match", f"{path}.match {what}")
    return found


def _limits(reading: Reading, path: str, fields: Fields) -> Limits:
    value = values_of(reading.fields(fields.node("limits"), f"{path}.limits", LIMITS), LIMITS)
    return Limits(
        per_target=value["per-target"],
        per_service=value["per-service"],
        replicas_share=value["replicas-share"],
        backoff_first_seconds=value["backoff"][0],
        backoff_last_seconds=value["backoff"][1],
        breaker_failures=value["breaker"].count,
        breaker_seconds=value["breaker"].seconds,
    )


def _verify(reading: Reading, path: str, fields: Fields) -> Verification | None:
    node = fields.node("verify")
    if node and node.value == NONE:
        return None
    below = reading.fields(node, f"{path}.verify", VERIFY)
    values = values_of(below, VERIFY)
    found = Verification(**values | {"query": values["query"] or ""})
    if found.holds > found.within:
        below.problem("holds", f"{path}.verify: holds is longer than within, so it could never be so")
    return found
