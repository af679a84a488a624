"""The sections of a configuration, and the names each option has in file, environment and flags."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from compose_agent.config.options import Bound, bound_options

ENVIRONMENT_PREFIX = "COMPOSE_AGENT_"
# Nearer than difflib's default: a suggestion that is off is worse than none.
_SIMILARITY = 0.6


@dataclass(frozen=True, slots=True)
class Section:
    """A group of options: ``name`` is the prefix of their keys, empty for what all roles share."""

    name: str
    settings: type[Any]
    title: str

    def full_key(self, bound: Bound) -> str:
        """Return the key as it stands in the file: ``exporter.web.listen-address``."""
        return f"{self.name}.{bound.option.key}" if self.name else bound.option.key

    def options(self) -> Iterator[Bound]:
        """Yield the options of the section in the order of their declaration."""
        return bound_options(self.settings)


class Schema:
    """All sections together, searchable by full key."""

    def __init__(self, sections: Iterable[Section]) -> None:
        self.sections = tuple(sections)

    @cached_property
    def options(self) -> dict[str, Bound]:
        """Every option by its full key."""
        return {section.full_key(bound): bound for section in self.sections for bound in section.options()}

    @cached_property
    def by_environment(self) -> dict[str, str]:
        """The full key of every environment variable."""
        return {environment_name(key): key for key in self.options}

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some option stands below ``prefix``."""
        return any(key.startswith(prefix + ".") for key in self.options)

    def nearest_key(self, key: str) -> str | None:
        """Return the option, or the group of options, whose name is most like ``key``."""
        groups = {full.rpartition(".")[0] for full in self.options} - {""}
        return nearest(key, [*self.options, *groups])


def environment_name(key: str) -> str:
    """Return the environment variable of a full key: ``COMPOSE_AGENT_EXPORTER_WEB_LISTEN_ADDRESS``."""
    return ENVIRONMENT_PREFIX + key.upper().replace(".", "_").replace("-", "_")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of ``names`` that is most like ``name``, if any is."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=_SIMILARITY)
    return found[0] if found else None


def did_you_mean(name: str | None) -> str:
    """Return the suggestion to put behind a refusal, or nothing."""
    return f", did you mean '{name}'?" if name else ""
