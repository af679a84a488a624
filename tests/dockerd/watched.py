"""An inventory on a fake Engine, and the truth to compare it with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.inventory import RECONCILE_SECONDS, Inventory
from compose_agent.dockerd.model import Container, container_from_inspect

# What is promised, and measured with real Engines: one that is back is seen within 5 s. The rest is what a
# loaded machine takes.
RECOVERY_SECONDS = 5.0 + 5.0
PATIENCE_SECONDS = 20.0
HEARTBEAT_SECONDS = 0.1
POLL_SECONDS = 0.01


@contextmanager
def watching(
    engine: FakeEngine,
    *,
    reconcile: float = RECONCILE_SECONDS,
    now: Callable[[], float] = time.time,
    timeout: float = 10.0,
) -> Iterator[Inventory]:
    """Run an inventory with a quick heartbeat; ``timeout`` is the deadline of its calls."""
    client = EngineClient(Endpoint(engine.url, "test"), timeout=timeout)
    inventory = Inventory(client, reconcile_seconds=reconcile, heartbeat_seconds=HEARTBEAT_SECONDS, now=now)
    inventory.start()
    try:
        yield inventory
    finally:
        inventory.stop()
        client.close()


def until(true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the function returns true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "what was waited for has not come"
        time.sleep(POLL_SECONDS)


def truth(engine: FakeEngine) -> dict[str, Container]:
    """Return every container as the Engine would answer now."""
    with engine.core.changed:
        return {each: container_from_inspect(engine.inspect(each)) for each in engine.core.store.containers}


def picture(inventory: Inventory) -> dict[str, Container]:
    """Return every container as the inventory has it, without the kills that only it counts."""
    return {each.id: replace(each, oom_kills=0) for each in inventory.containers()}


def agrees(engine: FakeEngine, inventory: Inventory) -> bool:
    """Tell whether the inventory shows what is."""
    return picture(inventory) == truth(engine)


def until_true_to(engine: FakeEngine, inventory: Inventory, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the inventory is connected and shows what is."""
    until(lambda: inventory.link().up and agrees(engine, inventory), seconds)


def inspects(engine: FakeEngine) -> int:
    """Return how many inspects the Engine was asked for."""
    return sum(
        count
        for asked, count in engine.requests().items()
        if asked.startswith("GET /containers/")
        and asked.endswith("/json")
        and asked != "GET /containers/json"
    )
