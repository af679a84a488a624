"""The manager's endpoint over real sockets: what agents, good and bad, get for an answer."""

from __future__ import annotations

import gzip
import ssl
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
import urllib3
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import connect

from fleet.agent.websocket import WatchedConnection
from fleet.opamp.frames import CONTENT_TYPE, MAX_MESSAGE_BYTES, from_body, from_frame, to_frame
from fleet.opamp.opamp_pb2 import (
    AgentToServer,
    ServerErrorResponseType_BadRequest,
    ServerErrorResponseType_Unavailable,
    ServerToAgent,
)
from tests.fleet.manager.serving import PATIENCE_SECONDS, HandAgent, Manager, serving, until


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


def post(manager: Manager, body: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
    given = {"Content-Type": CONTENT_TYPE, **{key.replace("_", "-"): value for key, value in headers.items()}}
    return urllib3.request(
        "POST",
        f"{manager.url}/agent",
        body=body,
        headers=given,
        retries=False,
        timeout=PATIENCE_SECONDS,
    )


def test_an_agent_that_describes_itself_is_online(manager: Manager) -> None:
    reply = HandAgent(manager, "one").say(described=True)
    assert reply.capabilities & 1
    assert not reply.flags
    node = manager.nodes()["one"]
    assert (node["state"], node["service"], node["transport"]) == ("online", "by-hand", "websocket")


def test_a_goodbye_is_offline_within_a_second(manager: Manager) -> None:
    agent = HandAgent(manager, "one", interval=60)
    agent.say(described=True)
    last = agent.message()
    last.agent_disconnect.SetInParent()
    agent.say(last)
    assert manager.nodes()["one"]["reason"] == "the agent said goodbye"
    assert manager.state("one") == "offline"


def test_a_clean_close_is_offline_within_a_second(manager: Manager) -> None:
    def seconds(name: str) -> float:
        agent = HandAgent(manager, name)
        agent.say(described=True)
        agent.connection.close()
        return until(lambda: manager.state(name) == "offline")

    # A loaded machine may need longer now and then, but not each time.
    assert any(seconds(f"node-{number}") < 1.0 for number in range(10))


def test_a_goodbye_behind_other_messages_counts_although_nobody_takes_their_answers(manager: Manager) -> None:
    agent = HandAgent(manager, "one", interval=60)
    agent.say(described=True)
    last = agent.message()
    last.agent_disconnect.SetInParent()
    frames = [to_frame(agent.message()) for _ in range(20)]
    for frame in [*frames, to_frame(last)]:
        agent.connection.send(frame)
    agent.connection.close()
    until(lambda: manager.state("one") == "offline")
    assert manager.nodes()["one"]["reason"] == "the agent said goodbye"


def test_a_connection_that_breaks_is_late_and_then_offline(manager: Manager) -> None:
    agent = HandAgent(manager, "one", interval=4)
    agent.say(described=True)
    agent.connection.socket.shutdown(2)
    until(lambda: manager.state("one") == "late")
    assert "without a goodbye" in manager.nodes()["one"]["reason"]
    until(lambda: manager.state("one") == "offline")


def test_silence_is_late_and_then_offline_within_two_and_a_half_intervals(manager: Manager) -> None:
    agent = HandAgent(manager, "one", interval=4)
    agent.say(described=True)
    until(lambda: manager.state("one") == "late")
    assert until(lambda: manager.state("one") == "offline") < 2.5 * 4
    agent.say()
    assert manager.state("one") == "online"


def test_a_message_too_many_is_answered_with_the_question_for_everything(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    agent.say(described=True)
    agent.number += 3
    assert agent.say().flags == 1
    # Not again at once: an agent that has no more to say would answer for ever.
    agent.number += 3
    assert agent.say().flags == 0


def test_an_agent_that_does_not_describe_itself_is_asked_to(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    assert agent.say().flags == 1
    assert agent.say(described=True).flags == 0


@pytest.mark.parametrize("data", [b"\x01\x0a\x00", b"", b"\x00\xff\xff", "text"])
def test_what_is_no_message_is_answered_and_does_not_end_the_connection(
    data: bytes | str, manager: Manager
) -> None:
    agent = HandAgent(manager, "one")
    agent.connection.send(data)
    assert agent.hear().error_response.type == ServerErrorResponseType_BadRequest
    assert not agent.say(described=True).HasField("error_response")


@pytest.mark.parametrize("uid", [b"u" * 15, bytes(16), b""])
def test_a_uid_that_is_none_is_refused(uid: bytes, manager: Manager) -> None:
    reply = HandAgent(manager, "one").say(AgentToServer(instance_uid=uid))
    assert reply.error_response.type == ServerErrorResponseType_BadRequest
    assert manager.nodes() == {}


def test_who_sends_nothing_but_nonsense_is_closed(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    for _ in range(10):
        agent.connection.send(b"\xff")
        agent.hear()
    agent.connection.send(b"\xff")
    with pytest.raises(ConnectionClosed):
        agent.hear()


def test_an_oversize_message_ends_the_connection_with_its_code(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    # The head of a masked binary frame says how long it will be; that is enough.
    agent.connection.socket.sendall(b"\x82\xff" + struct.pack("!Q", MAX_MESSAGE_BYTES + 2) + bytes(4))
    with pytest.raises(ConnectionClosed) as caught:
        agent.hear()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009
    assert manager.get("/-/ready").status == 200


def test_two_agents_with_one_uid_get_two(manager: Manager) -> None:
    first = HandAgent(manager, "one")
    second = HandAgent(manager, "copy", uid=first.uid)
    assert not first.say(described=True).HasField("agent_identification")
    assert not second.say(described=True).HasField("agent_identification")
    offered = first.say().agent_identification.new_instance_uid
    assert len(offered) == 16
    assert manager.nodes()["copy"]["state"] == "duplicate"
    first.uid = offered
    assert not first.say(described=True).HasField("agent_identification")
    assert {name: node["state"] for name, node in manager.nodes().items()} == {
        "one": "online",
        "copy": "online",
    }


def test_an_agent_that_reconnects_is_no_duplicate(manager: Manager) -> None:
    first = HandAgent(manager, "one")
    first.say(described=True)
    again = HandAgent(manager, "one", uid=first.uid)
    reply = again.say(described=True)
    again.say()
    assert not reply.HasField("agent_identification")
    assert manager.state("one") == "online"
    first.connection.socket.shutdown(2)  # the old connection's end is nothing new
    again.say()
    assert manager.state("one") == "online"


def test_who_asks_for_a_uid_gets_one(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    message = agent.message(described=True)
    message.flags = 1
    assert len(agent.say(message).agent_identification.new_instance_uid) == 16


def test_two_nodes_of_one_name_are_told_apart(manager: Manager) -> None:
    first = HandAgent(manager, "web", host_name="a")
    second = HandAgent(manager, "web", host_name="b")
    first.say(described=True)
    second.say(described=True)
    second.say()
    rows = manager.rows()
    assert {row["host"]: row["state"] for row in rows} == {"a": "online", "b": "duplicate"}
    answer = manager.get("/api/v1/nodes/web")
    assert answer.status == 409
    assert len(answer.json()["uids"]) == 2
    first.connection.close()
    until(lambda: {row["state"] for row in manager.rows()} == {"online", "offline"})


def test_a_former_self_of_a_host_is_forgotten(manager: Manager) -> None:
    before = HandAgent(manager, "web", host_id="ENGINE")
    before.say(described=True)
    before.connection.close()
    until(lambda: manager.state("web") == "offline")
    HandAgent(manager, "web", host_id="ENGINE").say(described=True)
    rows = manager.rows()
    assert [row["state"] for row in rows] == ["online"]


def test_a_node_that_is_switched_off_is_told_to_come_later(manager: Manager) -> None:
    agent = HandAgent(manager, "one")
    agent.say(described=True)
    manager.local("POST", "/api/v1/nodes/one/disable")
    reply = agent.say()
    assert reply.error_response.type == ServerErrorResponseType_Unavailable
    assert reply.error_response.retry_info.retry_after_nanoseconds > 0
    assert manager.state("one") == "disabled"
    manager.local("POST", "/api/v1/nodes/one/enable")
    assert not agent.say().HasField("error_response")
    assert manager.state("one") == "online"


def test_nobody_changes_something_without_proof(manager: Manager) -> None:
    HandAgent(manager, "one").say(described=True)
    path = "/api/v1/nodes/one/disable"
    answer = urllib3.request("POST", manager.url + path, retries=False, timeout=PATIENCE_SECONDS)
    assert answer.status == 403
    assert manager.state("one") == "online"


def test_plain_http_is_answered_at_the_same_path(manager: Manager) -> None:
    message = AgentToServer(instance_uid=b"h" * 16, sequence_num=1, capabilities=1)
    answer = post(manager, message.SerializeToString())
    assert (answer.status, answer.headers["Content-Type"]) == (200, CONTENT_TYPE)
    assert from_body(ServerToAgent, answer.data).flags == 1
    zipped = post(manager, gzip.compress(message.SerializeToString()), Content_Encoding="gzip")
    assert zipped.status == 200
    assert len(manager.nodes()) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", {}, 400),
        (b"not gzip", {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(bytes(MAX_MESSAGE_BYTES * 4)), {"Content_Encoding": "gzip"}, 413),
        (bytes(MAX_MESSAGE_BYTES + 1), {}, 413),
        (b"", {"Content_Type": "application/json"}, 415),
    ],
)
def test_a_wrong_request_is_refused(
    body: bytes, headers: dict[str, str], status: int, manager: Manager
) -> None:
    assert post(manager, body, **headers).status == status


def test_a_token_is_needed_where_there_is_one(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: both.pem, key_file: both.pem}\n")
    (tmp_path / "tokens").write_text("# ours\n0123456789abcdef\n")
    files = {"web.config.file": str(tmp_path / "web.yml"), "token_file": str(tmp_path / "tokens")}
    context = ssl.create_default_context()
    ca.configure_trust(context)
    given: Any = {"ssl": context, "create_connection": WatchedConnection}
    pool = urllib3.PoolManager(ssl_context=context)
    with serving(tmp_path, insecure="false", **files) as manager, pool:
        with pytest.raises(InvalidStatus) as caught, connect(manager.ws, **given):
            pass
        assert caught.value.response.status_code == 401
        for wrong in ({}, {"Authorization": "Bearer 0123456789abcdeX"}, {"Authorization": "Basic x"}):
            carried = {"Content-Type": CONTENT_TYPE, **wrong}
            assert pool.request("POST", f"{manager.url}/agent", body=b"", headers=carried).status == 401
        headers = {"Authorization": "Bearer 0123456789abcdef"}
        with connect(manager.ws, additional_headers=headers, **given) as joined:
            joined.send(b"\x00")
            answer = joined.recv(30)
            assert isinstance(answer, bytes)
            assert from_frame(ServerToAgent, answer).HasField("error_response")


def test_too_many_at_once_are_told_to_come_again(tmp_path: Path) -> None:
    with serving(tmp_path, connect_rate="1") as manager, ThreadPoolExecutor(8) as pool:

        def refusal(_: int) -> Response | None:
            try:
                with connect(manager.ws, open_timeout=PATIENCE_SECONDS):
                    return None
            except InvalidStatus as error:
                return error.response

        refused = [answer for answer in pool.map(refusal, range(8)) if answer]
        assert refused
        assert {each.status_code for each in refused} == {503}
        assert all(int(each.headers["Retry-After"]) >= 1 for each in refused)


def test_another_path_is_no_endpoint(manager: Manager) -> None:
    with pytest.raises(InvalidStatus) as caught, connect(manager.url.replace("http", "ws", 1) + "/elsewhere"):
        pass
    assert caught.value.response.status_code == 403
