"""How a policy says what it acts on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from compose_agent.config.fields import Fields
from compose_agent.config.yamlfile import Node
from remediation.model import TargetKind
from remediation.policies.keys import TARGET
from remediation.policies.model import TargetRule
from remediation.policies.reading import Reading, spelt_out

_PARTS = {
    TargetKind.CONTAINER: ("name",),
    TargetKind.SERVICE: ("project", "service"),
    TargetKind.SWARM_SERVICE: ("name",),
}
# What the exporter's series, and so alerts about them, call them. Of Swarm services it has none.
_OWN_LABELS = {
    TargetKind.CONTAINER: {"name": "name"},
    TargetKind.SERVICE: {"project": "compose_project", "service": "compose_service"},
}


def read_target(reading: Reading, path: str, node: Node | None) -> TargetRule:
    """Return the rule that stands at ``node``; what is wrong goes to the reading's problems."""
    fields = reading.fields(spelt_out(node, "kind"), path, TARGET)
    kind = TargetKind(fields.option(TARGET["kind"]))
    selector = reading.texts(fields, path, "selector")
    given = reading.texts(fields, path, "labels", _PARTS[kind])
    if given and selector:
        fields.problem("selector", f"{path} has both labels and selector, expected one of them")
    if not selector:
        _check_labels(fields, path, kind, given)
    return TargetRule(
        kind=kind,
        labels=given or MappingProxyType({} if selector else _OWN_LABELS.get(kind, {})),
        selector=selector,
        only=fields.option(TARGET["only"]) or "",
        allow=fields.each(TARGET["allow"]),
    )


def _check_labels(fields: Fields, path: str, kind: TargetKind, given: Mapping[str, str]) -> None:
    missing = [part for part in _PARTS[kind] if part not in given]
    if given or (kind not in _OWN_LABELS and not fields.node("labels")):
        for part in missing:
            fields.problem("labels", f"{path}.labels has no {part}, expected the signal's label for it")
