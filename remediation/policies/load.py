"""The policies in force, and how they are read again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from compose_agent.config import yamlfile
from compose_agent.shipped import shipped
from remediation.policies.model import Policy
from remediation.policies.read import read_sections
from remediation.triggers.query import Query
from remediation.triggers.scaler.rules import ScaleRule

SHIPPED = "alerts/remediation.yml"
_REVISION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies of a file in its order, its queries and rules of scaling; ``revision`` is its hash."""

    file: Path
    revision: str
    policies: tuple[Policy, ...]
    queries: tuple[Query, ...] = ()
    scaling: tuple[ScaleRule, ...] = ()

    def matching(self, labels: Mapping[str, str]) -> list[Policy]:
        """Return the policies for a signal with these labels, in the order of the file."""
        return [policy for policy in self.policies if all(each.matches(labels) for each in policy.match)]

    @property
    def names(self) -> frozenset[str]:
        """The names of all policies."""
        return frozenset(policy.name for policy in self.policies)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The globs of names that any policy may act on without a label."""
        return tuple(glob for policy in self.policies for glob in policy.target.allow)

    def named(self, name: str) -> Policy | None:
        """Return the policy of this name, None if there is none (any more)."""
        return next((policy for policy in self.policies if policy.name == name), None)


def load_policies(path: Path | None) -> Policies:
    """Return the policies of a file, or those that come with the program; ConfigError lists what is wrong."""
    file = path or shipped(SHIPPED)
    text = yamlfile.read(file)
    revision = hashlib.sha256(text.encode()).hexdigest()[:_REVISION_DIGITS]
    said = read_sections(yamlfile.parse(text, str(file)), str(file))
    return Policies(file, revision, said.policies, said.queries, said.scaling)


def reloaded(before: Policies, path: Path | None) -> Policies:
    """Return the policies as the file is now: ``before`` itself if nothing has changed; raises ConfigError.

    Also a policy that says the same as before is the same object.
    """
    found = load_policies(path)
    if found == before:
        return before
    kept = {policy.name: policy for policy in before.policies}
    same = tuple(kept[each.name] if kept.get(each.name) == each else each for each in found.policies)
    return replace(found, policies=same)
