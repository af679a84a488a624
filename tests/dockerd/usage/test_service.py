from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage import Readings, Sample
from compose_agent.dockerd.usage.service import ReplicaUsage, ServiceMeter

WEB = ("shop", "web")
EMPTY = Sample(0.0, None, None, None, None, None, None, None, None, None, None, None, None, {})


def replica(number: int, service: str = "web") -> Container:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": service}
    name = f"shop-{service}-{number}"
    return Container(name, name, "web:1", "", "running", pid=number, started_at=1.0, labels=labels)


class Usage:
    """A reader and a clock that say what they are told."""

    def __init__(self) -> None:
        self.at = 100.0
        self.cpu: dict[str, float] = {}
        self.memory: dict[str, int | None] = {}

    def read(self, containers: Iterable[Container], timeout: float) -> Readings:
        here = {each.id for each in containers}
        return Readings(
            {
                name: EMPTY._replace(cpu_seconds=seconds, working_set_bytes=self.memory.get(name))
                for name, seconds in self.cpu.items()
                if name in here
            },
            {},
        )

    def clock(self) -> float:
        return self.at


@pytest.fixture
def usage() -> Usage:
    return Usage()


def test_rates_and_sums_of_a_service(usage: Usage) -> None:
    meter = ServiceMeter(usage, clock=usage.clock)
    containers = [replica(1), replica(2), replica(1, "db")]
    usage.cpu = {"shop-web-1": 10.0, "shop-web-2": 20.0, "shop-db-1": 0.0}
    usage.memory = {"shop-web-1": 100, "shop-web-2": 50}
    first = meter.read(containers, 1.0)
    assert (first[WEB].cpu_cores, first[WEB].memory_bytes) == (None, 150)
    usage.at += 2.0
    usage.cpu = {"shop-web-1": 11.0, "shop-web-2": 23.0, "shop-db-1": 0.0}
    found = meter.read(containers, 1.0)
    assert found[WEB].cpu_cores == 2.0
    assert found[WEB].replicas["shop-web-2"] == ReplicaUsage(1.5, 50)
    assert (found["shop", "db"].cpu_cores, found["shop", "db"].memory_bytes) == (0.0, None)


def test_a_rate_is_over_the_window_and_no_longer(usage: Usage) -> None:
    meter = ServiceMeter(usage, window=10.0, clock=usage.clock)
    used = 0.0
    for second in range(30):
        usage.at, usage.cpu = 100.0 + second, {"shop-web-1": used}
        found = meter.read([replica(1)], 1.0)
        used += 1.0 if second < 15 else 0.0
    assert found[WEB].cpu_cores == 0.0
    usage.at, usage.cpu = 130.0, {"shop-web-1": used + 5.0}
    assert meter.read([replica(1)], 1.0)[WEB].cpu_cores == 0.5


def test_a_restart_and_a_counter_that_went_back_have_no_rate(usage: Usage) -> None:
    meter = ServiceMeter(usage, clock=usage.clock)
    for at, seconds, container in (
        (100.0, 50.0, replica(1)),
        (101.0, 1.0, replace(replica(1), started_at=2.0)),
        (102.0, 0.5, replace(replica(1), started_at=2.0)),
    ):
        usage.at, usage.cpu = at, {"shop-web-1": seconds}
        assert meter.read([container], 1.0)[WEB].cpu_cores is None


def test_what_does_not_run_or_cannot_be_read_is_unknown(usage: Usage) -> None:
    meter = ServiceMeter(usage, clock=usage.clock)
    stopped = replace(replica(2), state="exited", pid=0)
    assert meter.read([replica(1), stopped], 1.0)[WEB].replicas == {"shop-web-1": ReplicaUsage(None, None)}
    assert meter.read([stopped], 1.0) == {}
