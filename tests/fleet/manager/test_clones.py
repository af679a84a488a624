"""Two agents that poll with one uid, as a copied host does: one of them gets another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from fleet.opamp.attributes import Plain, to_attributes
from fleet.opamp.frames import CONTENT_TYPE, from_body
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent
from fleet.opamp.uid import new_uid
from tests.fleet.manager.serving import Manager, serving, until


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


class Poller:
    """An agent that asks over plain HTTP; it takes the uid that it is given."""

    def __init__(self, manager: Manager, uid: bytes, engine: str, number: int = 0) -> None:
        self._manager = manager
        self.uid = uid
        self._engine = engine
        self._number = number

    def say(self, *, described: bool = False) -> ServerToAgent:
        message = AgentToServer(instance_uid=self.uid, sequence_num=self._number, capabilities=0x2001)
        self._number += 1
        if described:
            told: dict[str, Plain | None] = {
                "service.instance.id": f"on {self._engine}",
                "host.id": self._engine,
                "compose_agent.heartbeat.interval_seconds": 3600.0,
            }
            message.agent_description.identifying_attributes.extend(to_attributes(told))
        answer = urllib3.request(
            "POST",
            f"{self._manager.url}/v1/opamp",
            body=message.SerializeToString(),
            headers={"Content-Type": CONTENT_TYPE},
            retries=False,
            timeout=30.0,
        )
        assert answer.status == 200
        reply = from_body(ServerToAgent, answer.data)
        self.uid = reply.agent_identification.new_instance_uid or self.uid
        return reply


def test_a_second_engine_with_the_same_uid_is_another_host(manager: Manager) -> None:
    uid = new_uid()
    first, copy = Poller(manager, uid, "engine-a"), Poller(manager, uid, "engine-b")
    first.say(described=True)
    copy.say(described=True)
    assert (first.uid, copy.uid != uid) == (uid, True)
    assert manager.state("on engine-a") == "duplicate"
    copy.say(described=True)
    until(lambda: manager.state("on engine-a") == "online")
    assert sorted(manager.nodes()) == ["on engine-a", "on engine-b"]


def test_where_the_engine_s_id_was_copied_too_the_numbers_tell(manager: Manager) -> None:
    uid = new_uid()
    pair = Poller(manager, uid, "engine", 40), Poller(manager, uid, "engine", 7)
    for one in pair:
        one.say(described=True)
    for _ in range(4):
        for one in pair:
            one.say()
    assert len({one.uid for one in pair}) == 2


def test_one_agent_that_restarts_or_misses_an_answer_stays_who_it_is(manager: Manager) -> None:
    uid = new_uid()
    for number in (0, 1, 2, 9, 10, 0, 1, 30, 31, 0, 1):
        agent = Poller(manager, uid, "engine", number)
        agent.say(described=number in {0, 9, 30})
        assert agent.uid == uid
