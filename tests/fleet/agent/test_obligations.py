"""What the specification of OpAMP demands of an agent, against a scripted server over real sockets."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from fleet.agent.conversation import CAPABILITIES, Conversation
from fleet.agent.identity import Identity
from fleet.opamp.capabilities import AgentCan
from fleet.opamp.opamp_pb2 import (
    AgentToServer,
    ServerErrorResponseType_BadRequest,
    ServerErrorResponseType_Unavailable,
    ServerToAgent,
)
from fleet.opamp.uid import new_uid
from tests.fleet.agent.scripted import FULL_STATE, STATUS, linked, plainly, polled, speaking
from tests.fleet.manager.serving import until

# Long enough for an answer to have had consequences, if it has any.
QUIET_SECONDS = 1.5


def test_the_first_message_is_a_whole_status_report(tmp_path: Path) -> None:
    with speaking() as server, linked(tmp_path, server):
        until(lambda: server.messages)
        first = server.messages[0]
    assert len(first.instance_uid) == 16
    assert first.HasField("agent_description")
    assert first.HasField("health")
    assert first.HasField("effective_config")


def test_every_message_has_uid_capabilities_and_the_next_number(tmp_path: Path) -> None:
    with speaking() as server, linked(tmp_path, server, interval=0.2) as agent:
        until(lambda: len(server.messages) > 4)
        uid = agent.identity.uid
    assert {message.instance_uid for message in server.messages} == {uid}
    assert {message.capabilities for message in server.messages} == {int(CAPABILITIES)}
    numbers = [message.sequence_num for message in server.messages]
    assert numbers == list(range(len(numbers)))


def test_only_bits_of_what_it_can_do_are_set() -> None:
    assert CAPABILITIES & AgentCan.REPORT_STATUS
    assert CAPABILITIES & AgentCan.REPORT_EFFECTIVE_CONFIG
    assert CAPABILITIES & AgentCan.REPORT_HEARTBEAT
    assert int(CAPABILITIES) & ~sum(AgentCan) == 0


def test_heartbeats_come_in_their_interval_and_say_only_who_speaks(tmp_path: Path) -> None:
    with speaking() as server:
        began = time.monotonic()
        with linked(tmp_path, server, interval=0.3):
            until(lambda: len(server.messages) >= 5)
            assert time.monotonic() - began >= 4 * 0.3
    for message in server.messages[1:4]:
        assert not message.HasField("agent_description")
        assert not message.HasField("health")
        assert not message.HasField("effective_config")


def test_an_answer_that_changes_nothing_leads_to_no_message(tmp_path: Path) -> None:
    with speaking() as server, linked(tmp_path, server):
        until(lambda: server.messages)
        time.sleep(QUIET_SECONDS)
        assert len(server.messages) == 1


def test_what_has_changed_is_told_whole_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.agent.link.NEWS_SECONDS", 0.2)
    with speaking() as server, linked(tmp_path, server) as agent:
        until(lambda: server.messages)
        agent.host.healthy = False
        until(lambda: len(server.messages) > 1)
        told = server.messages[1]
    assert told.HasField("health")
    assert not told.health.healthy
    assert not told.HasField("effective_config")


def test_who_is_ill_tells_soon_of_getting_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NEWS_SECONDS", "ILL_NEWS_SECONDS"):
        monkeypatch.setattr(f"fleet.agent.link.{name}", 0.2)
    with speaking() as server, linked(tmp_path, server) as agent:
        until(lambda: server.messages)
        agent.host.healthy = False
        until(lambda: len(server.messages) > 1)
        monkeypatch.setattr("fleet.agent.link.NEWS_SECONDS", 3600.0)
        agent.host.healthy = True
        until(lambda: len(server.messages) > 2)
    assert [message.health.healthy for message in server.messages[:3]] == [True, False, True]


def test_asked_for_the_whole_state_it_tells_it_at_once(tmp_path: Path) -> None:
    def answer(message: AgentToServer) -> ServerToAgent:
        reply = plainly(message)
        reply.flags = FULL_STATE if message.sequence_num == 1 else 0
        return reply

    with speaking(answer) as server, linked(tmp_path, server, interval=0.3):
        until(lambda: len(server.messages) > 2)
    assert not server.messages[1].HasField("effective_config")
    assert server.messages[2].HasField("effective_config")
    assert server.messages[2].HasField("agent_description")


def test_a_server_that_is_never_content_gets_no_stream_of_answers(tmp_path: Path) -> None:
    def answer(message: AgentToServer) -> ServerToAgent:
        reply = plainly(message)
        reply.flags = FULL_STATE
        return reply

    with speaking(answer) as server, linked(tmp_path, server):
        until(lambda: len(server.messages) >= 3)
        before = len(server.messages)
        time.sleep(QUIET_SECONDS)
        assert len(server.messages) - before <= 4


def test_a_uid_that_the_server_gives_is_used_from_then_on(tmp_path: Path) -> None:
    fresh = new_uid()

    def answer(message: AgentToServer) -> ServerToAgent:
        reply = plainly(message)
        if message.sequence_num == 0:
            reply.agent_identification.new_instance_uid = fresh
        return reply

    with speaking(answer) as server, linked(tmp_path, server, interval=0.3):
        until(lambda: len(server.messages) > 3)
    assert {message.instance_uid for message in server.messages[1:]} == {fresh}
    assert Identity(tmp_path).uid == fresh


def test_the_offered_interval_is_used(tmp_path: Path) -> None:
    def answer(message: AgentToServer) -> ServerToAgent:
        reply = plainly(message)
        reply.connection_settings.opamp.heartbeat_interval_seconds = 1
        return reply

    with speaking(answer) as server, linked(tmp_path, server, interval=3600):
        until(lambda: len(server.messages) > 3, 30)


def test_an_offer_of_no_interval_or_of_a_century_is_no_order_to_be_silent(tmp_path: Path) -> None:
    conversation = Conversation(Identity(tmp_path), AgentToServer)
    offer = ServerToAgent()
    offer.connection_settings.opamp.heartbeat_interval_seconds = 0
    assert conversation.take(offer).interval is None
    offer.connection_settings.opamp.heartbeat_interval_seconds = 2**64 - 1
    assert conversation.take(offer).interval == 86_400.0


def test_a_server_that_takes_no_configuration_is_sent_none(tmp_path: Path) -> None:
    def answer(message: AgentToServer) -> ServerToAgent:
        return ServerToAgent(instance_uid=message.instance_uid, capabilities=STATUS)

    with speaking(answer) as server, linked(tmp_path, server, interval=0.2) as agent:
        until(lambda: len(server.messages) > 1)
        agent.host.config, agent.host.healthy = b"another\n", False
        until(lambda: any(message.HasField("health") for message in server.messages[1:]))
    assert not any(message.HasField("effective_config") for message in server.messages[1:])


def test_before_it_closes_it_says_goodbye(tmp_path: Path) -> None:
    with speaking() as server:
        with linked(tmp_path, server):
            until(lambda: server.messages)
        until(lambda: server.codes)
    assert server.messages[-1].HasField("agent_disconnect")
    assert server.codes == [1000]


def test_told_to_come_later_it_says_goodbye_and_comes_later(tmp_path: Path) -> None:
    heard: list[float] = []

    def answer(message: AgentToServer) -> ServerToAgent:
        heard.append(time.monotonic())
        reply = ServerToAgent(instance_uid=message.instance_uid)
        reply.error_response.type = ServerErrorResponseType_Unavailable
        reply.error_response.retry_info.retry_after_nanoseconds = 10**9
        return reply

    with speaking(answer) as server, linked(tmp_path, server):
        until(lambda: server.codes)
        until(lambda: len(heard) > 2)  # the first message, the goodbye, and the first one when it is back
        assert heard[2] - heard[0] >= 1.0
    assert server.messages[1].HasField("agent_disconnect")
    assert server.codes[0] == 1000


def test_a_message_that_is_refused_is_not_sent_again(tmp_path: Path) -> None:
    def answer(message: AgentToServer) -> ServerToAgent:
        reply = ServerToAgent(instance_uid=message.instance_uid)
        reply.error_response.type = ServerErrorResponseType_BadRequest
        reply.error_response.error_message = "no " * 10_000
        return reply

    with speaking(answer) as server, linked(tmp_path, server):
        until(lambda: server.messages)
        time.sleep(QUIET_SECONDS)
        assert len(server.messages) == 1


def test_over_http_it_polls_in_the_interval_and_never_twice_at_once(tmp_path: Path) -> None:
    def answer(message: AgentToServer) -> ServerToAgent:
        time.sleep(0.3)  # longer than the interval
        return plainly(message)

    with polled(answer) as server, linked(tmp_path, server, interval=0.1):
        until(lambda: len(server.messages) > 3)
    assert server.most_at_once == 1


def test_over_http_the_offered_interval_is_the_polling_interval(tmp_path: Path) -> None:
    def answer(message: AgentToServer) -> ServerToAgent:
        reply = plainly(message)
        reply.connection_settings.opamp.heartbeat_interval_seconds = 1
        return reply

    with polled(answer) as server, linked(tmp_path, server, interval=3600):
        until(lambda: len(server.messages) > 3, 30)


def test_over_http_it_says_what_a_body_is_and_whether_it_is_packed(tmp_path: Path) -> None:
    with polled() as server, linked(tmp_path, server, interval=0.1) as agent:
        until(lambda: len(server.requests) > 2)
        uid = agent.identity.uid.hex()
    assert {head["content-type"] for head in server.requests} == {"application/x-protobuf"}
    assert server.requests[0]["content-encoding"] == "gzip"
    assert "content-encoding" not in server.requests[1]
    assert server.requests[0]["opamp-instance-uid"].replace("-", "") == uid


def test_numbers_go_on_when_a_connection_is_made_anew(tmp_path: Path) -> None:
    drops = itertools.chain([True], itertools.repeat(False))

    def answer(message: AgentToServer) -> ServerToAgent:
        if message.sequence_num == 1 and next(drops):
            raise AssertionError("the connection is dropped")
        return plainly(message)

    with speaking(answer) as server, linked(tmp_path, server, interval=0.2):
        until(lambda: len(server.messages) > 3)
    assert [message.sequence_num for message in server.messages[:4]] == [0, 1, 2, 3]
    assert server.messages[2].HasField("agent_description")
