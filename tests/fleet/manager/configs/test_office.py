"""What the manager keeps of agents' reports stays small, whatever they say."""

from __future__ import annotations

from fleet.manager.configs.layers import Layers
from fleet.manager.configs.office import Office
from fleet.manager.model import Peer
from fleet.manager.registry import Registry
from fleet.opamp.opamp_pb2 import AgentToServer, RemoteConfigStatuses_APPLIED, RemoteConfigStatuses_FAILED

UID = b"u" * 16
MOST_EVENTS = 50_000


def heard(*, digest: bytes, reason: str = "", failed: bool = False) -> tuple[Office, AgentToServer]:
    registry = Registry(lambda _transition: None)
    office = Office(registry, Layers())
    message = AgentToServer(instance_uid=UID)
    message.remote_config_status.last_remote_config_hash = digest
    message.remote_config_status.error_message = reason
    message.remote_config_status.status = (
        RemoteConfigStatuses_FAILED if failed else RemoteConfigStatuses_APPLIED
    )
    office.learn(registry.hear(UID, Peer("http", ""), described=False), message)
    return office, message


def test_a_hash_and_a_reason_without_an_end_are_cut_off() -> None:
    office, _ = heard(digest=b"x" * 1_000_000, reason="y" * 1_000_000, failed=True)
    (report,), (event,) = office.take_changes()
    assert len(report.reported) == len(event.hash) == 128  # in hexadecimal digits
    assert (len(report.reason), len(event.reason)) == (2000, 300)


def test_while_they_cannot_be_written_events_do_not_fill_the_memory() -> None:
    office, _ = heard(digest=b"x" * 32)
    (report,), (event,) = office.take_changes()
    office.give_back([report], [event] * (MOST_EVENTS + 5))
    reports, events = office.take_changes()
    assert ([each.uid for each in reports], len(events)) == ([UID], MOST_EVENTS)
