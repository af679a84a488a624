"""Attributes of OpenTelemetry as plain values, and back; and the names of those that are our own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from fleet.opamp.opamp_pb2 import AnyValue, KeyValue

Plain = str | bool | int | float | list[str]

# A longer text is no description; it would only fill pages and the store. The same goes for more of them.
_LONGEST_TEXT = 1000
_MOST_ATTRIBUTES = 200
_MOST_VALUES = 100

ENVIRONMENT = "deployment.environment.name"  # of OpenTelemetry
NODE_ID = "compose_agent.node.id"
ROLE = "compose_agent.role"
CAPACITY = "compose_agent.capacity"
TAGS = "compose_agent.tags"
ADVERTISE = "compose_agent.advertise_address"
HEARTBEAT_SECONDS = "compose_agent.heartbeat.interval_seconds"
# One attribute for each role of the agent: its first URL.
LISTENER_PREFIX = "compose_agent.listener."


def to_attributes(values: Mapping[str, Plain | None]) -> list[KeyValue]:
    """Return attributes in the order of ``values``, without those that are None."""
    return [KeyValue(key=key, value=_packed(value)) for key, value in values.items() if value is not None]


def from_attributes(attributes: Iterable[KeyValue]) -> dict[str, Plain]:
    """Return attributes as a mapping, without what is too much; of a key that comes twice the last counts."""
    first = islice(attributes, _MOST_ATTRIBUTES)
    return {each.key[:_LONGEST_TEXT]: _plain(each.value) for each in first}


def _packed(value: Plain) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        packed = AnyValue()
        packed.array_value.values.extend(AnyValue(string_value=each) for each in value)
        return packed
    return AnyValue(string_value=value)


def _plain(value: AnyValue) -> Plain:
    found: Plain = ""
    match value.WhichOneof("value"):
        case "string_value":
            found = value.string_value
        case "bool_value":
            found = value.bool_value
        case "int_value":
            found = value.int_value
        case "double_value":
            found = value.double_value
        case "array_value":
            return [str(_plain(each))[:_LONGEST_TEXT] for each in value.array_value.values[:_MOST_VALUES]]
        case "bytes_value":
            found = value.bytes_value[:_LONGEST_TEXT].hex()
        case "kvlist_value":
            pairs = value.kvlist_value.values[:_MOST_VALUES]
            found = ", ".join(f"{each.key[:_LONGEST_TEXT]}={_plain(each.value)}" for each in pairs)
    return found[:_LONGEST_TEXT] if isinstance(found, str) else found
