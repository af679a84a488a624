"""Who lives in whose network: those that must be restarted with the container whose network they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_JOINED = "container:"


def dependents(containers: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return, by a container's id, the sorted ids of those that share its network namespace.

    ``containers`` are answers of inspect or elements of the Engine's list: both have ``Id`` and
    ``HostConfig.NetworkMode``. A restart of the one leaves the others in a namespace that is gone. Those
    who joined by name or by the beginning of an id are found too.
    """
    known = list(containers)
    found: dict[str, set[str]] = {}
    for each in known:
        mode = str((each.get("HostConfig") or {}).get("NetworkMode") or "")
        if mode.startswith(_JOINED) and (parent := _resolved(mode.removeprefix(_JOINED), known)):
            found.setdefault(parent, set()).add(str(each["Id"]))
    return {parent: tuple(sorted(children)) for parent, children in found.items()}


def _resolved(reference: str, containers: Iterable[Mapping[str, Any]]) -> str:
    """Return the id that a reference stands for; empty when there is no such container any more."""
    by_prefix = ""
    for each in containers if reference else ():
        own = str(each["Id"])
        if own == reference or reference in _names(each):
            return own
        if own.startswith(reference):
            by_prefix = own
    return by_prefix


def _names(container: Mapping[str, Any]) -> set[str]:
    names = [*(container.get("Names") or ()), container.get("Name") or ""]
    return {str(name).removeprefix("/") for name in names}
