"""How a policy says what it acts on."""

from __future__ import annotations

from compose_agent.config.yamlfile import Node
from remediation.model import TargetKind
from remediation.policies.keys import TARGET
from remediation.policies.model import TargetRule
from remediation.policies.reading import Reading, spelt_out
from remediation.targets import DEFAULT_LABELS


def read_target(reading: Reading, path: str, node: Node | None) -> TargetRule:
    """Return the rule that stands at ``node``; what is wrong goes to the reading's problems."""
    fields = reading.fields(spelt_out(node, "kind"), path, TARGET)
    kind = TargetKind(fields.option(TARGET["kind"]))
    labels = reading.texts(fields, path, "labels", tuple(DEFAULT_LABELS[kind]))
    selector = reading.texts(fields, path, "selector")
    if labels and selector:
        fields.problem("selector", f"{path} has both labels and selector, expected one of them")
    return TargetRule(
        kind=kind,
        labels=labels,
        selector=selector,
        only=fields.option(TARGET["only"]) or "",
        allow=fields.each(TARGET["allow"]),
    )
