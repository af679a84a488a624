"""What the specification of OpAMP demands of a server, over real sockets; the rest is in test_endpoint.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from websockets.exceptions import ConnectionClosed

from fleet.manager.desk import CAPABILITIES
from fleet.opamp.capabilities import AgentCan, ServerCan
from fleet.opamp.frames import to_frame
from fleet.opamp.opamp_pb2 import (
    AgentToServer,
    ServerErrorResponseType_BadRequest,
    ServerErrorResponseType_Unavailable,
)
from fleet.pki import make_request
from tests.fleet.manager.configs.by_hand import TAKES, ConfiguredAgent, push, rollout
from tests.fleet.manager.serving import HandAgent, Manager, serving, until
from tests.fleet.secured import Visitor, secured


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


def test_every_answer_names_its_agent_and_what_the_server_can_do(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    for described in (True, False):
        reply = agent.say(described=described)
        assert reply.instance_uid == agent.uid
        assert reply.capabilities == int(CAPABILITIES)
        assert not reply.HasField("error_response")


def test_only_bits_of_what_it_can_do_are_set() -> None:
    assert CAPABILITIES & ServerCan.ACCEPT_STATUS
    assert int(CAPABILITIES) & ~sum(ServerCan) == 0


def test_agents_that_share_a_connection_get_answers_of_their_own(manager: Manager) -> None:
    first, second = HandAgent(manager, "one"), HandAgent(manager, "two")
    first.connection.send(to_frame(second.message(described=True)))
    assert first.hear().instance_uid == second.uid
    assert first.say(described=True).instance_uid == first.uid
    assert {name: node["state"] for name, node in manager.nodes().items()} == {
        "one": "online",
        "two": "online",
    }


def test_a_message_that_comes_twice_is_answered_twice(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    first = agent.message(described=True)
    for _ in range(2):
        reply = agent.say(first)
        assert reply.instance_uid == agent.uid
        assert not reply.HasField("error_response")


def test_an_error_is_all_that_an_answer_with_one_says(manager: Manager) -> None:
    reply = HandAgent(manager, "one").say(AgentToServer(instance_uid=b"short"))
    assert reply.error_response.type == ServerErrorResponseType_BadRequest
    assert "16 bytes" in reply.error_response.error_message
    assert {one.name for one, _ in reply.ListFields()} == {"instance_uid", "error_response"}


def test_what_is_missing_is_asked_for_until_it_has_come(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = HandAgent(manager, "one")
    agent.say(described=True)
    agent.number += 1
    assert agent.say().flags == 1
    assert agent.say().flags == 0  # it was asked a moment ago
    monkeypatch.setattr("fleet.manager.desk.FULL_STATE_EVERY_SECONDS", 1.0)
    until(lambda: agent.say().flags == 1)
    agent.say(described=True)
    time.sleep(1.1)
    assert agent.say().flags == 0


def test_what_an_agent_cannot_do_any_more_is_not_used(tmp_path: Path) -> None:
    with serving(tmp_path, heartbeat_interval="7s") as manager:
        agent = HandAgent(manager, "one", service_name="compose-agent")
        able = agent.message(described=True)
        able.capabilities = AgentCan.REPORT_STATUS | AgentCan.REPORT_HEARTBEAT
        assert not agent.say(able).HasField("connection_settings")
        able = agent.message()
        able.capabilities |= AgentCan.REPORT_HEARTBEAT | AgentCan.ACCEPT_CONNECTION_SETTINGS
        assert agent.say(able).connection_settings.opamp.heartbeat_interval_seconds == 7
        unable = agent.message(described=True)
        unable.capabilities = AgentCan.REPORT_STATUS
        assert not agent.say(unable).HasField("connection_settings")


def test_an_agent_that_takes_no_configuration_is_offered_none(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    message = agent.message(described=True)
    message.capabilities = AgentCan.REPORT_STATUS | AgentCan.REPORT_EFFECTIVE_CONFIG
    assert not agent.say(message).HasField("remote_config")


def test_it_closes_with_a_close_frame(tmp_path: Path) -> None:
    with serving(tmp_path) as manager:
        agent = HandAgent(manager, "one")
        agent.say(described=True)
        manager.role.stop()
        with pytest.raises(ConnectionClosed) as caught:
            agent.hear()
        manager.role.stop = lambda: None  # type: ignore[method-assign]  # it has been
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code in {1001, 1012}


def test_a_manager_that_is_full_takes_no_more_and_keeps_those_it_has(tmp_path: Path) -> None:
    with serving(tmp_path, most_nodes="1") as manager:
        first = HandAgent(manager, "one")
        first.say(described=True)
        reply = HandAgent(manager, "two").say(described=True)
        assert reply.error_response.type == ServerErrorResponseType_Unavailable
        assert reply.error_response.retry_info.retry_after_nanoseconds > 0
        assert not first.say().HasField("error_response")
        assert set(manager.nodes()) == {"one"}
        text = manager.get("/metrics").data.decode()
    assert 'fleet_messages_refused_total{reason="full"} 1.0' in text


def test_a_certificate_request_that_is_none_is_answered_with_an_error(tmp_path: Path) -> None:
    with secured(tmp_path) as place:
        joining = Visitor(place, token=place.token(), name="joining")
        reply = joining.say(csr=b"no request")
        while not reply.HasField("error_response"):
            reply = joining.hear()
        assert reply.error_response.type == ServerErrorResponseType_BadRequest
        assert reply.error_response.error_message
        assert place.state("joining") == "online"


def test_an_offered_certificate_comes_with_its_authority_s(tmp_path: Path) -> None:
    with secured(tmp_path) as place:
        joining = Visitor(place, token=place.token(), name="joining")
        request = make_request(UUID(bytes=joining.uid)).certificate
        offered = joining.offered(request).connection_settings.opamp.certificate
    assert x509.load_pem_x509_certificate(offered.cert).issuer == (
        x509.load_pem_x509_certificate(offered.ca_cert).subject
    )


def test_an_agent_that_has_another_configuration_is_offered_the_one_for_it(manager: Manager) -> None:
    first = ConfiguredAgent(manager, "one")
    begun = push(manager, "log.level: debug\n")
    first.listen()
    until(lambda: rollout(manager, begun["id"])["phase"] == "done")
    for digest in (b"another", first.hash):
        again = HandAgent(manager, "one", uid=first.uid)
        message = again.message(described=True)
        message.capabilities = TAKES
        message.remote_config_status.last_remote_config_hash = digest
        assert again.say(message).HasField("remote_config") == (digest != first.hash)
