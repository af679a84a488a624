"""The agent's half against what the reference server has sent, byte by byte as it was recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.agent.conversation import Conversation
from fleet.agent.custom import Custom
from fleet.agent.identity import Identity
from fleet.opamp.frames import from_frame, to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

ROOT = Path(__file__).resolve().parents[3]
RECORDED: list[str] = json.loads((ROOT / "bench" / "recorded_opamp.json").read_text())["server"]


class Part:
    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []

    def connected(self) -> None:
        pass

    def take(self, kind: str, data: bytes) -> None:
        self.taken.append((kind, data))


def replies() -> list[ServerToAgent]:
    return [from_frame(ServerToAgent, bytes.fromhex(each)) for each in RECORDED]


@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_what_the_reference_server_says_is_taken(number: int, tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    conversation = Conversation(identity, AgentToServer)
    before = identity.uid
    orders = conversation.take(replies()[number])
    assert orders.pause is None
    assert not orders.error
    assert identity.uid == before
    conversation.numbered(conversation.heartbeat())


def test_the_recording_has_what_a_server_says() -> None:
    fields = {one.name for reply in replies() for one, _ in reply.ListFields()}
    wanted = {"instance_uid", "remote_config", "connection_settings", "flags", "custom_message"}
    assert wanted <= fields


def test_a_loss_that_the_reference_server_notices_leads_to_everything_anew(tmp_path: Path) -> None:
    asking = next(reply for reply in replies() if reply.flags)
    conversation = Conversation(Identity(tmp_path), described)
    assert conversation.heartbeat().HasField("health")
    assert not conversation.heartbeat().HasField("health")
    assert conversation.take(asking).at_once
    assert conversation.heartbeat().HasField("health")


def test_a_custom_message_of_the_reference_server_comes_to_its_part() -> None:
    part, custom = Part(), Custom(lambda _message: True)
    custom.register("io.opentelemetry.custom.health", part)
    for reply in replies():
        custom.heard(reply)
    assert [kind for kind, _ in part.taken] == ["probe"]


def described() -> AgentToServer:
    message = AgentToServer()
    message.health.healthy = True
    return message


def test_a_frame_is_written_as_the_reference_server_writes_it() -> None:
    receipts = [each for each in RECORDED if len(each) == 2 * 19]
    assert receipts
    for each in receipts:
        assert to_frame(from_frame(ServerToAgent, bytes.fromhex(each))).hex() == each
