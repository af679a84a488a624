"""A JSON schema of the fields ``x-compose-agent``, with which editors complete and check Compose files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from compose_agent.config import kinds
from compose_agent.config.composefile import EXTENSION
from compose_agent.config.options import Option
from compose_agent.config.schema import Schema

# What draft-07 is to editors: the newest that all of them know.
_DIALECT = "http://json-schema.org/draft-07/schema#"
_CHOICE = "one of "
# A key that ends so stands for a family, whose members are named by whoever writes them.
_NAMED = ".NAME"
_TEXTS = ["string", "number", "boolean"]

JsonSchema = dict[str, Any]


def compose_schema(schema: Schema, labels: Iterable[Option]) -> JsonSchema:
    """Return the schema of a Compose file in which nothing but our fields is looked at.

    ``labels`` are those of containers, by their keys without the prefix.
    """
    options = {key: bound.option for key, bound in schema.options.items() if bound.option.in_file}
    return {
        "$schema": _DIALECT,
        "title": "Compose file with fields of Compose Agent",
        "type": "object",
        "properties": {
            EXTENSION: _tree({key: _leaf(option) for key, option in options.items()}),
            "services": {
                "type": "object",
                "additionalProperties": {
                    "type": ["object", "null"],
                    "properties": {EXTENSION: _tree({label.key: _leaf(label) for label in labels})},
                },
            },
        },
    }


def _tree(leaves: Mapping[str, JsonSchema]) -> JsonSchema:
    """Return a mapping in which keys may be nested or dotted at every dot."""
    properties: dict[str, JsonSchema] = {}
    below: dict[str, dict[str, JsonSchema]] = {}
    named: JsonSchema | bool = False
    for key, leaf in leaves.items():
        if key == _NAMED.lstrip("."):
            named = leaf
        elif key.endswith(_NAMED) and key.count(".") == 1:
            below.setdefault(key.removesuffix(_NAMED), {})["NAME"] = leaf
        else:
            properties[key] = leaf
            words = key.split(".")
            for count in range(1, len(words)):
                below.setdefault(".".join(words[:count]), {})[".".join(words[count:])] = leaf
    for prefix, rest in below.items():
        nested = _tree(rest)
        properties[prefix] = {"anyOf": [properties[prefix], nested]} if prefix in properties else nested
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": named}


def _leaf(option: Option) -> JsonSchema:
    default = f" Default: {option.default}." if option.default is not None else ""
    described = {"description": f"{option.help} Expected: {option.kind.expected}.{default}"}
    one = _value(option)
    if not option.multiple:
        return {**described, **one}
    return {**described, "anyOf": [{"type": "array", "items": one}, {"type": [*_TEXTS, "null"]}]}


def _value(option: Option) -> JsonSchema:
    if option.kind is kinds.boolean:
        return {"type": ["boolean", "null"]}
    if option.kind.expected.startswith(_CHOICE) and option.kind.name == "choice":
        return {"enum": [*option.kind.expected.removeprefix(_CHOICE).split(", "), None]}
    # Options whose values are mappings or lists of patterns take those as well.
    return {"type": [*_TEXTS, "object", "array", "null"]}
