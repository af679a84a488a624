"""Probes of containers of a fake Engine, on the host's network, where real servers answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.inventory import Inventory
from compose_agent.errors import EngineTimeout
from remediation.triggers.probes.driver import Probes
from tests.dockerd.watched import until, watching
from tests.remediation.triggers.probes.servers import Server, serving
from tests.remediation.triggers.told import Inbox, Memories

QUICK = {
    "compose-agent.probe.initial-delay": "0",
    "compose-agent.probe.period": "50ms",
    "compose-agent.probe.timeout": "5s",
    "compose-agent.probe.failure-threshold": "3",
}
BUSY = b"HTTP/1.1 503 Busy\r\n\r\n"


def nowhere(_: str) -> dict[str, Any]:
    raise EngineTimeout("the Engine does not answer")


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@contextmanager
def probing(inventory: Inventory, inbox: Inbox, memories: Memories | None = None) -> Iterator[Probes]:
    probes = Probes(inventory, nowhere, inbox.receive, memories or Memories())
    probes.start()
    try:
        yield probes
    finally:
        probes.stop()


def add(engine: FakeEngine, server: Server, name: str = "web", **more: str) -> str:
    labels = {**QUICK, "compose-agent.probe.http": f"{server.port}/health", **more}
    return engine.add_container(name, labels=labels, network="host")


def test_a_probe_that_fails_is_told_and_one_that_is_well_again(engine: FakeEngine, server: Server) -> None:
    web, inbox = add(engine, server), Inbox()
    with watching(engine) as inventory, probing(inventory, inbox) as probes:
        until(lambda: len(server.requests) >= 4)
        assert inbox.signals == []
        server.answer = BUSY
        until(lambda: inbox.told() == ["+ContainerProbeFailed"])
        assert probes.failing == {web}
        server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
        until(lambda: inbox.told() == ["+ContainerProbeFailed", "-ContainerProbeFailed"])
        assert probes.failing == frozenset()
    told = inbox.signals[0]
    assert (told.labels["name"], told.labels["probe"], told.labels["id"]) == ("web", "http", web[:12])
    expected = f"container web failed its probe http {server.port}/health 3 times in a row: it answered 503"
    assert told.annotations["summary"] == expected


@pytest.mark.parametrize("end", ["die", "remove"])
def test_what_a_run_failed_ends_with_it(engine: FakeEngine, server: Server, end: str) -> None:
    server.answer = BUSY
    add(engine, server)
    inbox = Inbox()
    with watching(engine) as inventory, probing(inventory, inbox):
        until(lambda: inbox.told() == ["+ContainerProbeFailed"])
        if end == "die":
            engine.die("web", 0)
        else:
            engine.remove("web")
        until(lambda: inbox.told() == ["+ContainerProbeFailed", "-ContainerProbeFailed"])


def test_a_new_run_is_asked_anew(engine: FakeEngine, server: Server) -> None:
    server.answer = BUSY
    engine.add_container(
        "web",
        labels={**QUICK, "compose-agent.probe.http": f"{server.port}/"},
        network="host",
        restart="always",
    )
    inbox = Inbox()
    with watching(engine) as inventory, probing(inventory, inbox):
        until(lambda: len(inbox.told()) == 1)
        engine.die("web", 1)
        until(
            lambda: (
                inbox.told() == ["+ContainerProbeFailed", "-ContainerProbeFailed", "+ContainerProbeFailed"]
            )
        )


def test_nothing_is_told_twice_over_a_restart(engine: FakeEngine, server: Server) -> None:
    add(engine, server)
    server.answer = BUSY
    inbox, memories = Inbox(), Memories()
    with watching(engine) as inventory:
        for _ in range(2):
            server.requests.clear()
            with probing(inventory, inbox, memories):
                until(lambda: len(server.requests) > 5 and bool(inbox.signals))
        assert inbox.told() == ["+ContainerProbeFailed"]
        server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
        with probing(inventory, inbox, memories):
            until(lambda: inbox.told() == ["+ContainerProbeFailed", "-ContainerProbeFailed"])


def test_a_container_that_cannot_be_asked_is_not_ill(engine: FakeEngine, server: Server) -> None:
    labels = {**QUICK, "compose-agent.probe.tcp": "1"}
    engine.add_container("unknown", labels=labels)  # its address is the Engine's to say
    engine.add_container("wrong", labels={**labels, "compose-agent.probe.exec": "x"}, network="none")
    add(engine, server)
    inbox = Inbox()
    with watching(engine) as inventory, probing(inventory, inbox) as probes:
        until(lambda: len(server.requests) > 20)
        assert "healthcheck" in probes.problems["wrong"]
    assert inbox.signals == []


def test_nobody_is_asked_before_the_initial_delay(engine: FakeEngine, server: Server) -> None:
    add(engine, server, **{"compose-agent.probe.initial-delay": "1h"})
    with serving() as other:
        add(engine, other, "other")
        with watching(engine) as inventory, probing(inventory, Inbox()):
            until(lambda: len(other.requests) > 5)
    assert server.requests == []


def test_one_that_hangs_does_not_hold_up_the_others(engine: FakeEngine, server: Server) -> None:
    with serving() as silent:
        silent.answer = None
        for n in range(4):
            add(engine, silent, f"silent-{n}", **{"compose-agent.probe.timeout": "30s"})
        add(engine, server)
        with watching(engine) as inventory, probing(inventory, Inbox()):
            until(lambda: len(silent.requests) >= 4)
            asked = len(server.requests)
            until(lambda: len(server.requests) > asked + 10)  # before the timeout of those that hang
