"""Several texts of one file, laid over one another. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from compose_agent.config.yamlfile import Node, parse


def merged(name: str, bodies: Sequence[str]) -> str:
    """Return the file ``name`` of texts in order, the weakest first; raises ConfigError for wrong YAML.

    One text stays as it is, with its comments. Mappings are merged key by key, at any depth; everything else
    a stronger text replaces as a whole.
    """
    if len(bodies) == 1:
        return bodies[0]
    values = [_value(parse(body, name)) for body in bodies]
    whole = values[0]
    for value in values[1:]:
        whole = _over(whole, value)
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=1000)


def is_yaml(name: str) -> bool:
    """Tell whether a file of this name can be merged; others are taken whole from the strongest layer."""
    return name.endswith((".yml", ".yaml", ".json")) or "." not in name


def _over(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {
            key: _over(below[key], value) if key in below else value for key, value in above.items()
        }
    return above


def _value(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _value(each) for key, each in node.value.items()}
    if isinstance(node.value, list):
        return [_value(each) for each in node.value]
    return node.value
