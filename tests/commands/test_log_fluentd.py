"""The program sends a copy of its log to Fluentd, and takes up and lets go of that while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.loopback import free_port
from log_forwarder.fake.forward import ForwardServer
from tests.commands.program import STOP_SECONDS, Agent, eventually

Start = Callable[..., Agent]
Events = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def events() -> Events:
    return []


@pytest.fixture
def port(events: Events) -> Iterator[int]:
    with ForwardServer(on_event=lambda tag, _time, record: events.append((tag, record))) as server:
        yield server.port


@pytest.mark.parametrize(
    ("arguments", "tags"),
    [
        (("run",), {"compose-agent.exporter", "compose-agent.supervisor"}),
        (("run", "--one-process"), {"compose-agent.supervisor"}),
        (("export",), {"compose-agent.exporter"}),
        (("export", "--log.fluentd-tag=mine"), {"mine"}),
    ],
    ids=["run", "one-process", "export", "tag"],
)
def test_each_process_sends_a_copy_until_it_is_told_not_to(
    arguments: tuple[str, ...], tags: set[str], agent: Start, events: Events, port: int
) -> None:
    one = agent(*arguments, config=f"log: {{level: debug, fluentd: '127.0.0.1:{port}'}}\n").started()
    reload = one.client("exporter" if "export" in arguments else "supervisor").reload
    reload()
    eventually(lambda: {tag for tag, _ in events} >= tags, f"not all of {tags} in {events}")
    (one.folder / "agent.yml").write_text("exporter.stale-after: 2m\n")
    reload()
    (one.folder / "agent.yml").write_text("exporter.stale-after: 3m\n")
    reload()
    eventually(lambda: "revision=3" in one.log, "no reload")
    assert one.end() == 0
    assert not [record for _, record in events if record.get("revision", 1) > 2]
    assert {tag for tag, _ in events} == tags
    for _, record in events:
        assert record["message"] in one.log
        assert {"hostname", "level", "logger"} <= record.keys()


def test_a_peer_that_is_not_there_changes_nothing(agent: Start) -> None:
    one = agent("run", config=f"log.fluentd: 127.0.0.1:{free_port()}\n").started()
    assert one.readiness()
    begin = time.monotonic()
    assert one.end() == 0
    assert time.monotonic() - begin < STOP_SECONDS
