"""The sections of a configuration, and the names each option has in file, environment and flags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from compose_agent.config.nearest import nearest
from compose_agent.config.options import Bound, bound_options

ENVIRONMENT_PREFIX = "COMPOSE_AGENT_"


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

    @cached_property
    def by_variable(self) -> dict[str, str]:
        """The full key of every second environment variable."""
        return {bound.option.variable: key for key, bound in self.options.items() if bound.option.variable}

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some option stands below ``prefix``."""
        return prefix in self._groups

    def nearest_key(self, key: str) -> str | None:
        """Return the option, or the group of options, whose name is most like ``key``."""
        names = [*self.options, *self._groups]
        whole = next((name for name in names if name.endswith(f".{key}")), None)
        return whole or nearest(key, names)

    def nearest_variable(self, name: str) -> str | None:
        """Return the environment variable whose name is most like ``name``."""
        # The prefix, which all share, would make everything look alike.
        ends = [known.removeprefix(ENVIRONMENT_PREFIX) for known in self.by_environment]
        found = nearest(name.removeprefix(ENVIRONMENT_PREFIX), ends)
        return ENVIRONMENT_PREFIX + found if found else None

    @cached_property
    def _groups(self) -> list[str]:
        parts = [key.split(".") for key in self.options]
        groups = (".".join(part[:depth]) for part in parts for depth in range(1, len(part)))
        return list(dict.fromkeys(groups))


def environment_name(key: str) -> str:
    """Return the environment variable of a full key: ``COMPOSE_AGENT_EXPORTER_WEB_LISTEN_ADDRESS``."""
    return ENVIRONMENT_PREFIX + key.upper().replace(".", "_").replace("-", "_")
