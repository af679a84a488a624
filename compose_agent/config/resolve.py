"""Laying layers over one another: defaults < file < environment < command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar, cast

from compose_agent.config.options import Bound, Option
from compose_agent.config.schema import Schema, Section
from compose_agent.errors import ConfigError, Problem

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody gave it (text, a list or a mapping of texts) and where.

    ``named`` when the place itself says which option it is, as a flag does and a line of a file does not.
    """

    value: object
    where: str
    named: bool = False


Layer = Mapping[str, Given]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of every section, and where each option that is not a default came from.

    ``given`` holds the raw values by full key; it is what one process hands to another.
    """

    settings: Mapping[type[Any], object]
    given: Mapping[str, Given]

    def of(self, settings: type[S]) -> S:
        """Return the settings declared by the dataclass ``settings``."""
        return cast("S", self.settings[settings])

    def successor(self, revision: int, after: Config) -> int:
        """Return the revision of ``after``, where this configuration is ``revision``.

        It is the next one, or the same if both say the same: a revision counts configurations, however often
        each is read.
        """
        return revision if after.settings == self.settings else revision + 1


def resolve(schema: Schema, layers: Iterable[Layer]) -> Config:
    """Return the configuration that ``layers`` (weakest first) give over the defaults.

    Raises ConfigError with every value that cannot be read.
    """
    given: dict[str, Given] = {}
    for layer in layers:
        given.update(layer)
    problems: list[Problem] = []
    settings = {section.settings: _built(section, given, problems) for section in schema.sections}
    if problems:
        raise ConfigError(problems)
    return Config(MappingProxyType(settings), MappingProxyType(given))


def _built(section: Section, given: Layer, problems: list[Problem]) -> object:
    values: dict[str, Any] = {}
    for bound in section.options():
        key = section.full_key(bound)
        value = _value(bound, given.get(key), key, problems)
        if bound.entry is None:
            values[bound.field] = value
        else:
            values.setdefault(bound.field, {})[bound.entry] = value
    return None if problems else section.settings(**values)


def _value(bound: Bound, given: Given | None, key: str, problems: list[Problem]) -> object:
    if given is None:
        return default_value(bound.option)
    try:
        return read_value(bound.option, given.value)
    except ValueError as error:
        problems.append(Problem(given.where, str(error) if given.named else f"{key}: {error}"))
        return None


def default_value(option: Option) -> object:
    """Return what the field holds when nobody gave a value."""
    if option.default is None:
        return () if option.multiple else None
    return read_value(option, option.default)


def read_value(option: Option, value: object) -> object:
    """Return the typed value of what was given; ValueError says what was expected."""
    if not option.multiple:
        return option.kind.read(value)
    items = [part for item in (value if isinstance(value, list) else [value]) for part in _parts(item)]
    if not items and option.default is not None:
        raise ValueError(f"expected at least one: {option.kind.expected}")
    return tuple(dict.fromkeys(option.kind.read(item) for item in items))


def _parts(item: object) -> list[object]:
    """Return the values that commas separate in a text."""
    return [part for part in item.split(",") if part.strip()] if isinstance(item, str) else [item]
