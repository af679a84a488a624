"""The messages as they are written here, against those of the official Python client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from google.protobuf.descriptor import Descriptor
from opentelemetry._opamp.proto import anyvalue_pb2, opamp_pb2

from fleet.opamp import capabilities
from fleet.opamp import opamp_pb2 as ours

OFFICIAL: dict[str, Descriptor] = {
    **anyvalue_pb2.DESCRIPTOR.message_types_by_name,
    **opamp_pb2.DESCRIPTOR.message_types_by_name,
}


def nested(messages: Mapping[str, Descriptor]) -> Iterator[Descriptor]:
    for message in messages.values():
        yield message
        yield from message.nested_types


@pytest.mark.parametrize("message", list(nested(ours.DESCRIPTOR.message_types_by_name)), ids=lambda m: m.name)
def test_every_field_is_the_official_one(message: Descriptor) -> None:
    parent = message.containing_type
    named = OFFICIAL[parent.name].nested_types_by_name if parent else OFFICIAL
    official = named[message.name]
    for field in message.fields:
        other = official.fields_by_name[field.name]
        assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)
        if field.message_type:
            assert other.message_type
            assert field.message_type.name == other.message_type.name


@pytest.mark.parametrize("name", list(ours.DESCRIPTOR.enum_types_by_name))
def test_every_enumeration_is_the_official_one(name: str) -> None:
    mine, official = (
        {value.name: value.number for value in module.DESCRIPTOR.enum_types_by_name[name].values}
        for module in (ours, opamp_pb2)
    )
    assert mine == official


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("AgentCapabilities", capabilities.AgentCan),
        ("ServerCapabilities", capabilities.ServerCan),
        ("AgentToServerFlags", capabilities.AgentAsks),
        ("ServerToAgentFlags", capabilities.ServerAsks),
    ],
)
def test_every_bit_is_an_official_one(name: str, bits: type[capabilities.AgentCan]) -> None:
    official = {value.number for value in opamp_pb2.DESCRIPTOR.enum_types_by_name[name].values}
    assert {bit.value for bit in bits} <= official
