"""The collectors: one subject, one module, one ``COLLECTOR``.

A module in this folder is found by itself. Another package adds one by an entry point in the group
``compose_agent.collectors`` that names an object of the same types.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

from exporter.families import Collector, HostCollector, InventoryCollector, UsageCollector

ENTRY_POINT_GROUP = "compose_agent.collectors"


@cache
def registered() -> tuple[Collector, ...]:
    """Return every collector there is, by name: the built-in ones, then those of other packages."""
    built_in = [
        importlib.import_module(f"{__name__}.{module.name}").COLLECTOR
        for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name)
    ]
    foreign = [entry.load() for entry in entry_points(group=ENTRY_POINT_GROUP)]
    return tuple(_checked([*built_in, *foreign]))


def _checked(collectors: list[Collector]) -> list[Collector]:
    """Refuse what would give an invalid exposition: a name or a family that exists twice."""
    names = [each.name for each in collectors]
    families = [family.name for each in collectors for family in each.families]
    for kind, values in (("collector", names), ("metric family", families)):
        if twice := {value for value in values if values.count(value) > 1}:
            raise ValueError(f"{kind} registered twice: {', '.join(sorted(twice))}")
    for each in collectors:
        if not isinstance(each, InventoryCollector | UsageCollector | HostCollector):
            raise TypeError(f"not a collector: {each!r}")
    return collectors
