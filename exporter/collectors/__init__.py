"""The collectors: one subject, one module, one ``COLLECTOR``.

A module in this folder is found by itself. Another package adds one by an entry point in the group
``compose_agent.collectors`` that names an object of the same types.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from compose_agent.errors import ComposeAgentError
from exporter import measure
from exporter.families import Collector, HostCollector, InventoryCollector, UsageCollector, fault_of

ENTRY_POINT_GROUP = "compose_agent.collectors"


@cache
def registered() -> tuple[Collector, ...]:
    """Return every collector there is, by name: the built-in ones, then those of other packages.

    Raises ComposeAgentError for one that cannot be loaded or would make the exposition invalid.
    """
    return checked([*built_in(), *foreign(entry_points(group=ENTRY_POINT_GROUP))])


def built_in() -> Iterator[Any]:
    """Yield the ``COLLECTOR`` of each module in this folder, by name."""
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        yield importlib.import_module(f"{__name__}.{name}").COLLECTOR


def foreign(entries: Iterable[EntryPoint]) -> Iterator[Any]:
    """Yield what the entry points of other packages name."""
    for entry in entries:
        try:
            yield entry.load()
        except Exception as error:  # another package's code, which may raise anything
            raise _refused(f"the collector {entry.value} cannot be loaded ({error})") from error


def checked(collectors: Sequence[Any]) -> tuple[Collector, ...]:
    """Return the collectors, or refuse what is none and what would make the exposition invalid."""
    for each in collectors:
        if not isinstance(each, InventoryCollector | UsageCollector | HostCollector):
            raise _refused(f"not a collector: {each!r}")
        labelled = not isinstance(each, HostCollector)
        if faults := [fault for family in each.families if (fault := fault_of(family, labelled=labelled))]:
            raise _refused(f"collector {each.name}: {faults[0]}")
    _refuse_twice("collector", [*(each.name for each in collectors), measure.USAGE])
    families = [family for each in collectors for family in each.families]
    _refuse_twice("metric family", [family.base for family in (*families, *measure.FAMILIES)])
    return tuple(collectors)


def _refuse_twice(kind: str, names: list[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise _refused(f"{kind} registered twice: {', '.join(sorted(twice))}")


def _refused(message: str) -> ComposeAgentError:
    return ComposeAgentError(message, remedy="upgrade or remove the package that adds it")
