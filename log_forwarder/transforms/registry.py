"""The transforms: one subject, one module, one ``TRANSFORM``.

A module in this folder that has a ``TRANSFORM`` is found by itself. Another package adds one by an entry
point in the group ``compose_agent.transforms`` that names an object of the same type.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from compose_agent.config import Option
from compose_agent.errors import ComposeAgentError
from log_forwarder.transforms.contract import TransformKind

ENTRY_POINT_GROUP = "compose_agent.transforms"


@cache
def registered() -> tuple[TransformKind, ...]:
    """Return every kind of transform in the order of the pipeline; ComposeAgentError for one that is none."""
    return checked([*built_in(), *foreign(entry_points(group=ENTRY_POINT_GROUP))])


def options() -> Iterator[Option]:
    """Yield the keys of all transforms in the order of the pipeline."""
    for kind in registered():
        yield from kind.keys


def built_in() -> Iterator[Any]:
    """Yield the ``TRANSFORM`` of each module in this folder that has one."""
    package = __name__.rpartition(".")[0]
    for name in sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])):
        kind = getattr(importlib.import_module(f"{package}.{name}"), "TRANSFORM", None)
        if kind is not None:
            yield kind


def foreign(entries: Iterable[EntryPoint]) -> Iterator[Any]:
    """Yield what the entry points of other packages name."""
    for entry in entries:
        try:
            yield entry.load()
        except Exception as error:  # another package's code, which may raise anything
            raise _refused(f"the transform {entry.value} cannot be loaded ({error})") from error


def checked(kinds: Sequence[Any]) -> tuple[TransformKind, ...]:
    """Return the kinds in the order of the pipeline, or refuse what is none and names that are taken."""
    for each in kinds:
        if not isinstance(each, TransformKind):
            raise _refused(f"not a transform: {each!r}")
    _refuse_twice("transform", [each.name for each in kinds])
    _refuse_twice("key of transforms", [option.key for each in kinds for option in each.keys])
    return tuple(sorted(kinds, key=lambda kind: (kind.stage, kind.name)))


def _refuse_twice(what: str, names: list[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise _refused(f"{what} registered twice: {', '.join(sorted(twice))}")


def _refused(message: str) -> ComposeAgentError:
    return ComposeAgentError(message, remedy="upgrade or remove the package that adds it")
