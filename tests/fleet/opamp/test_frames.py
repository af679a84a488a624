from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.opamp.frames import (
    MAX_MESSAGE_BYTES,
    MalformedMessage,
    OversizeMessage,
    from_body,
    from_frame,
    to_frame,
    unpacked,
)
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

# First messages and heartbeats as the reference agent sent them, unmasked.
RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())


def test_a_frame_is_the_header_0_and_the_message() -> None:
    message = AgentToServer(instance_uid=b"u" * 16, sequence_num=3, capabilities=1)
    frame = to_frame(message)
    assert frame[:1] == b"\x00"
    assert from_frame(AgentToServer, frame) == message


def test_a_heartbeat_is_as_short_as_the_reference_agent_s() -> None:
    heartbeat = AgentToServer(instance_uid=b"u" * 16, sequence_num=1, capabilities=0x2147)
    assert len(to_frame(heartbeat)) <= 25


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: one["name"])
def test_what_other_agents_send_is_understood(one: dict[str, str]) -> None:
    message = from_frame(AgentToServer, bytes.fromhex(one["hex"]))
    assert len(message.instance_uid) == 16
    assert message.agent_description.identifying_attributes[0].value.string_value == one["service"]


@pytest.mark.parametrize("data", [b"", b"\x01\x0a\x00", b"\x00\xff\xff\xff", b"\x0a\x10" + b"u" * 16])
def test_bytes_that_are_no_message_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        from_frame(AgentToServer, data)


def test_an_empty_message_is_one() -> None:
    assert from_frame(ServerToAgent, b"\x00") == ServerToAgent()


def test_a_message_has_a_longest_size() -> None:
    with pytest.raises(OversizeMessage):
        from_body(AgentToServer, b"\x00" * (MAX_MESSAGE_BYTES + 1))


def test_a_zip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\x00" * (MAX_MESSAGE_BYTES * 8))
    with pytest.raises(OversizeMessage):
        unpacked(bomb)


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"whole", mtime=0)[:-4], b""])
def test_a_body_that_is_not_whole_gzip_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        unpacked(data)


@given(st.binary(max_size=400))
def test_whatever_comes_is_a_message_or_malformed(data: bytes) -> None:
    for frame in (data, b"\x00" + data):
        try:
            message = from_frame(AgentToServer, frame)
        except MalformedMessage:
            continue
        assert isinstance(message, AgentToServer)
