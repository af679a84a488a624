"""The inventory on an Engine that is absent, hangs, dies, lies, or becomes another one."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd import connection
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.connection import Ping
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.dockerd.fake.faults import Kind
from compose_agent.dockerd.inventory import Inventory, Link
from compose_agent.errors import EnginePermission, EngineUnsupported
from tests.dockerd.watched import (
    HEARTBEAT_SECONDS,
    PATIENCE_SECONDS,
    RECOVERY_SECONDS,
    agrees,
    inspects,
    until,
    until_true_to,
    watching,
)

# A ping's deadline, the heartbeat's pause, and what a busy machine takes: less than the deadline of a call.
NOTICED_SECONDS = 2.0 + HEARTBEAT_SECONDS + 5.0
ROUTES = (
    "GET /_ping",
    "GET /events",
    "GET /info",
    "GET /version",
    "GET /containers/json",
    "GET /containers/*/json",
)
KINDS: tuple[Kind, ...] = (
    "hang",
    "slow",
    "slow-body",
    "error",
    "reset",
    "reset-body",
    "truncate",
    "garbage",
    "wrong",
)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        started.add_container("web", restart="always")
        started.add_container("job", running=False)
        yield started
        started.thaw()


def spoil(engine: FakeEngine, route: str, kind: Kind, times: int | None = None) -> None:
    # An inspect has some thousand bytes.
    seconds = 0.0002 if kind == "slow-body" else 0.3
    engine.add_fault(Fault(route, kind, times=times, seconds=seconds, body='{"State": 7}'))


@pytest.mark.parametrize(("route", "kind"), list(itertools.product(ROUTES, KINDS)))
def test_a_fault_at_the_start_is_outlived(engine: FakeEngine, route: str, kind: Kind) -> None:
    spoil(engine, route, kind)
    with watching(engine) as inventory:
        inventory.wait_complete(0.1)
        engine.clear_faults()
        until_true_to(engine, inventory, RECOVERY_SECONDS)
        assert inventory.wait_complete(RECOVERY_SECONDS)


@pytest.mark.parametrize(("route", "kind"), list(itertools.product(ROUTES, ("hang", "reset", "garbage"))))
def test_a_fault_in_between_is_outlived(engine: FakeEngine, route: str, kind: Kind) -> None:
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        spoil(engine, route, kind)
        engine.die("web", 3)
        engine.restart_engine()
        engine.add_container("new")
        until(lambda: engine.requests()[route.replace("/*", "")] > 0 or inspects(engine) > 2)
        engine.clear_faults()
        until_true_to(engine, inventory, RECOVERY_SECONDS)


def test_an_engine_that_comes_later_is_seen(engine: FakeEngine) -> None:
    engine.stop_engine()
    with watching(engine) as inventory:
        until(lambda: "no Engine at" in inventory.link().error)
        assert not inventory.wait_complete(0)
        assert inventory.containers() == ()
        engine.start_engine()
        until_true_to(engine, inventory, RECOVERY_SECONDS)
        assert inventory.wait_complete(RECOVERY_SECONDS)


def test_an_engine_that_went_is_down_at_once_and_its_last_word_stays(engine: FakeEngine) -> None:
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        before, since = inventory.containers(), inventory.link().since
        engine.stop_engine()
        until(lambda: not inventory.link().up, RECOVERY_SECONDS)
        assert inventory.link().since > since
        assert inventory.containers() is before
        assert not inventory.wait_complete(0)


def test_a_restart_that_nobody_could_follow_by_events_is_seen(engine: FakeEngine) -> None:
    for n in range(20):
        engine.add_container(f"c{n}", restart="always" if n % 2 else "no")
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        engine.stop_engine()
        for n in range(0, 20, 3):
            engine.remove(f"c{n}")
        engine.add_container("new", running=False)
        engine.core.events.forget()
        engine.start_engine()
        until_true_to(engine, inventory, RECOVERY_SECONDS)
        assert inventory.counts().missed_changes == 0


def test_containers_that_were_gone_with_the_engines_disk_come_back(engine: FakeEngine) -> None:
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        engine.stop_engine()
        kept = dict(engine.core.store.containers)
        engine.core.store.containers.clear()
        engine.start_engine()
        until(lambda: inventory.containers() == (), RECOVERY_SECONDS)
        engine.stop_engine()
        engine.core.store.containers.update(kept)
        engine.start_engine()
        until_true_to(engine, inventory, RECOVERY_SECONDS)
        assert len(inventory.containers()) == 2


def test_a_frozen_engine_is_down_within_the_deadline_and_up_soon_after(engine: FakeEngine) -> None:
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        engine.freeze()
        until(lambda: not inventory.link().up, NOTICED_SECONDS)
        assert "in time" in inventory.link().error
        engine.add_container("new")
        until(lambda: engine.requests()["GET /_ping"] > 0)
        engine.thaw()
        until_true_to(engine, inventory, RECOVERY_SECONDS)


@pytest.mark.parametrize("frozen", [0.05, 0.5, 1.2])
def test_a_short_hang_is_no_outage(
    engine: FakeEngine, frozen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert frozen < connection.PING_TIMEOUT_SECONDS / 1.5
    # A pause of the test itself would make the hang a long one.
    monkeypatch.setattr(connection, "PING_TIMEOUT_SECONDS", frozen + PATIENCE_SECONDS / 2)
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        engine.freeze()
        time.sleep(frozen)
        assert inventory.link().up
        engine.thaw()
        engine.die("web", 4)
        until_true_to(engine, inventory, RECOVERY_SECONDS)
        assert inventory.counts().connects == 1


def test_a_list_that_hangs_does_not_hold_up_the_heartbeat(engine: FakeEngine) -> None:
    with watching(engine, reconcile=0.2) as inventory:
        until_true_to(engine, inventory)
        engine.forget_requests()
        engine.add_fault(Fault("GET /containers/json", "hang"))
        until(lambda: engine.requests()["GET /containers/json"] > 0)
        engine.die("web", 6)
        until(lambda: agrees(engine, inventory))
        assert inventory.link().up
        engine.freeze()
        until(lambda: not inventory.link().up, NOTICED_SECONDS)
        engine.thaw()


def test_a_list_that_fails_leaves_the_link_up_and_is_said_once(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compose_agent.dockerd.inventory.RECONCILE_RETRY_SECONDS", 0.05)
    with watching(engine, reconcile=0.1) as inventory:
        until_true_to(engine, inventory)
        engine.forget_requests()
        engine.add_fault(Fault("GET /containers/json", "error"))
        until(lambda: engine.requests()["GET /containers/json"] > 5)
        assert inventory.link().up
        assert [each.message for each in caplog.records].count("cannot list containers") == 1


def test_a_slow_start_is_not_disturbed_by_the_heartbeat(engine: FakeEngine) -> None:
    engine.add_fault(Fault("GET /containers/json", "slow", times=1, seconds=1.0))
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        time.sleep(5 * HEARTBEAT_SECONDS)
        assert inventory.counts().connects == 1
        assert engine.requests()["GET /events"] == 1


def test_one_container_that_hangs_holds_up_nobody_else(engine: FakeEngine) -> None:
    stuck = engine.add_container("stuck")
    engine.add_project("shop", {"web": 20})
    engine.add_fault(Fault(f"GET /containers/{stuck}/json", "hang"))
    with watching(engine, timeout=3.0) as inventory:
        until(lambda: len(inventory.containers()) == 22)
        assert inventory.wait_complete(PATIENCE_SECONDS)
        engine.die("shop-web-7", 1)
        until(lambda: "exited" in [each.state for each in inventory.containers()], 3)
        # It is asked for again and again, and that does not take the picture's completeness away.
        until(lambda: engine.requests()[f"GET /containers/{stuck}/json"] > 1)
        assert inventory.wait_complete(0)
        assert inventory.unknown() == 1
        assert inventory.link().up
        engine.clear_faults()
        until_true_to(engine, inventory, RECOVERY_SECONDS)
        assert inventory.unknown() == 0


def test_inspects_that_all_fail_end_with_the_link_and_are_said_once_each(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.add_project("shop", {"web": 30})
    threads = threading.active_count()
    engine.add_fault(Fault("GET /containers/*/json", "error"))
    with watching(engine) as inventory:
        assert inventory.wait_complete(PATIENCE_SECONDS)
        until(lambda: inspects(engine) > 70)
        assert threading.active_count() < threads + 30
        until(lambda: [each.message for each in caplog.records].count("cannot inspect") >= 32)
        assert [each.message for each in caplog.records].count("cannot inspect") == 32
        engine.stop_engine()
        until(lambda: not inventory.link().up)
        until(lambda: not inventory._inspector._in_flight)
        assert not inventory._inspector._retries
        engine.clear_faults()
        engine.start_engine()
        until_true_to(engine, inventory, RECOVERY_SECONDS)


def test_an_engine_that_stays_away_is_spoken_of_once(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compose_agent.dockerd.inventory.RECONNECT_LAST_SECONDS", 0.05)
    caplog.set_level(logging.INFO)

    def said() -> int:
        return [each.message for each in caplog.records].count("no Engine")

    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        for times in (1, 2):
            engine.stop_engine()
            until(lambda times=times: said() >= times)  # type: ignore[misc]
            time.sleep(0.5)  # some tries more
            engine.start_engine()
            until_true_to(engine, inventory)
    assert said() == 2


def test_a_broken_stream_that_held_is_opened_again_without_an_outage(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compose_agent.dockerd.inventory.RECONNECT_LAST_SECONDS", 0.1)
    engine.add_fault(Fault("GET /events", "reset-body", times=1, after=1))
    seen: set[Link] = set()
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        time.sleep(0.2)
        engine.die("web", 5)
        until(lambda: seen.add(inventory.link()) or inventory.counts().connects == 2)  # type: ignore[func-returns-value]
        until_true_to(engine, inventory)
        assert {link.up for link in seen} == {True}


def test_streams_that_always_end_at_once_are_not_opened_in_a_tight_loop(engine: FakeEngine) -> None:
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        engine.add_fault(Fault("GET /events", "reset"))
        engine.restart_engine()
        engine.forget_requests()
        time.sleep(2)
        assert engine.requests()["GET /events"] <= 6
        assert not inventory.link().up


def test_a_garbage_event_costs_a_reconnect_and_no_change(engine: FakeEngine) -> None:
    engine.add_fault(Fault("GET /events", "truncate", times=1, after=40))
    with watching(engine) as inventory:
        until_true_to(engine, inventory)
        engine.die("web", 9)
        until(lambda: inventory.counts().connects > 1, RECOVERY_SECONDS)
        until_true_to(engine, inventory, RECOVERY_SECONDS)


class Denied(EngineClient):
    """A client whose user may use the socket only once ``allowed``; root may everything."""

    allowed = False

    def negotiate(self) -> Ping:
        if not self.allowed:
            raise EnginePermission("no permission on the Engine's socket")
        return super().negotiate()


def test_a_denied_permission_is_raised_by_who_waits_and_forgotten_when_it_is_granted(
    engine: FakeEngine,
) -> None:
    client = Denied(Endpoint(engine.url, "test"))
    inventory = Inventory(client, heartbeat_seconds=HEARTBEAT_SECONDS)
    inventory.start()
    try:
        with pytest.raises(EnginePermission):
            inventory.wait_complete(PATIENCE_SECONDS)
        client.allowed = True
        until_true_to(engine, inventory, RECOVERY_SECONDS)
        assert inventory.wait_complete(RECOVERY_SECONDS)
    finally:
        inventory.stop()
        client.close()


def test_an_engine_that_is_too_old_is_raised_by_who_waits() -> None:
    with FakeEngine(api_version="1.40") as engine, watching(engine) as inventory:
        with pytest.raises(EngineUnsupported, match=r"1\.40"):
            inventory.wait_complete(PATIENCE_SECONDS)
        assert "1.41" in inventory.link().error


def test_engines_of_other_versions_on_the_same_socket_are_spoken_to_in_theirs(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    with FakeEngine(socket) as first:
        first.add_container("web")
        client = EngineClient(Endpoint(first.url, "test"))
        inventory = Inventory(client, heartbeat_seconds=HEARTBEAT_SECONDS)
        inventory.start()
        until_true_to(first, inventory)
    spoken = []
    try:
        for version, minimum in [("1.41", None), ("1.52", "1.44"), ("1.43", None), ("1.60", "1.50")]:
            with FakeEngine(socket, api_version=version, min_api_version=minimum) as engine:
                engine.add_container(f"on-{version}")
                until_true_to(engine, inventory, RECOVERY_SECONDS)
                engine.die(f"on-{version}", 1)
                until(lambda: agrees(engine, inventory), RECOVERY_SECONDS)
                spoken.append(client.api_version)
        with FakeEngine(socket, api_version="1.40") as engine:
            until(lambda: "1.40" in inventory.link().error, RECOVERY_SECONDS)
            with pytest.raises(EngineUnsupported):
                inventory.wait_complete(PATIENCE_SECONDS)
        with FakeEngine(socket) as engine:
            until_true_to(engine, inventory, RECOVERY_SECONDS)
            assert inventory.wait_complete(RECOVERY_SECONDS)
    finally:
        inventory.stop()
        client.close()
    assert spoken == ["1.41", "1.51", "1.43", "1.51"]


def test_an_engine_that_is_too_new_is_refused_in_its_words() -> None:
    with FakeEngine(api_version="1.60", min_api_version="1.55") as newer, watching(newer) as inventory:
        until(lambda: "too old" in inventory.link().error, RECOVERY_SECONDS)


def test_a_fault_of_our_own_does_not_end_the_following(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def once(_: EngineClient) -> dict[str, object]:
        monkeypatch.undo()
        raise KeyError("ours")

    monkeypatch.setattr(EngineClient, "info", once)
    with watching(engine) as inventory:
        until_true_to(engine, inventory, RECOVERY_SECONDS)
        assert any(each.exc_info for each in caplog.records)
