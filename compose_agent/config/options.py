"""Declaring options as fields of a frozen dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from compose_agent.config.kinds import Kind

_METADATA = "compose_agent.option"


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its key within the section, how it is read, and what the documentation says.

    ``default`` is text, in the form a user would write; None means unset, and the field is then None.
    With ``multiple`` the value is a tuple: a YAML list, a comma-separated environment variable, a
    repeated flag.
    """

    key: str
    kind: Kind[Any]
    default: str | None
    help: str
    multiple: bool = False
    restart: bool = False  # takes effect only when the program starts anew
    in_file: bool = True  # may stand in the configuration file
    variable: str = ""  # a second environment variable, without our prefix, that others set as well


@dataclass(frozen=True, slots=True)
class Bound:
    """An option and the place of its value: a field, or one entry of a field that is a mapping."""

    option: Option
    field: str
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class _Entries:
    """A family of options that share a prefix, such as one switch for each collector."""

    prefix: str
    options: Callable[[], Iterator[Option]]


def option(
    key: str,
    kind: Kind[Any],
    default: str | None,
    help: str,
    *,
    multiple: bool = False,
    restart: bool = False,
    in_file: bool = True,
    variable: str = "",
) -> Any:
    """Declare a field as an option; see :class:`Option` for the meaning of each argument."""
    declared = Option(key, kind, default, help, multiple, restart, in_file, variable)
    return dataclasses.field(metadata={_METADATA: declared})


def option_map(prefix: str, options: Callable[[], Iterator[Option]]) -> Any:
    """Declare a field of type ``Mapping[str, T]`` with one option for each entry, keyed ``prefix.entry``."""
    return dataclasses.field(metadata={_METADATA: _Entries(prefix, options)})


def bound_options(settings: type[Any]) -> Iterator[Bound]:
    """Yield the options that the fields of the dataclass ``settings`` declare, in order."""
    for field in dataclasses.fields(settings):
        declared = field.metadata.get(_METADATA)
        if isinstance(declared, Option):
            yield Bound(declared, field.name)
        elif isinstance(declared, _Entries):
            for each in declared.options():
                keyed = dataclasses.replace(each, key=f"{declared.prefix}.{each.key}")
                yield Bound(keyed, field.name, each.key)
