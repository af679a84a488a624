"""The options of all transforms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.config import Option, option_map


def _options() -> Iterator[Option]:
    from log_forwarder.transforms.registry import options  # noqa: PLC0415 - loads every transform

    return options()


@dataclass(frozen=True, slots=True)
class TransformSettings:
    """What is done with the lines of every container that says nothing else by its labels, by key."""

    values: Mapping[str, Any] = option_map("logs", _options)
