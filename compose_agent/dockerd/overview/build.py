"""Containers, samples and rates put together as rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from compose_agent.dockerd.inventory import Link
from compose_agent.dockerd.model import STATES, Container, Engine
from compose_agent.dockerd.overview.model import ContainerRow, HostOverview
from compose_agent.dockerd.overview.rates import UNKNOWN, Rates
from compose_agent.dockerd.usage import Sample
from compose_agent.dockerd.usage.host import HostSample


def row(container: Container, sample: Sample | None, rates: Rates, now: float) -> ContainerRow:
    """Return one container as a row; ``now`` is Unix time."""
    memory = sample.working_set_bytes if sample else None
    return ContainerRow(
        name=container.name,
        id=container.short_id,
        image=container.image,
        project=container.compose_project,
        service=container.compose_service,
        number=container.compose_number,
        state=container.state,
        health=container.health,
        exit_code=container.exit_code,
        restarts=container.restart_count,
        oom_kills=container.oom_kills,
        started_timestamp_seconds=container.started_at,
        finished_timestamp_seconds=container.finished_at,
        uptime_seconds=_uptime(container, now),
        cpu_cores=rates.cpu_cores,
        cpu_limit_cores=container.cpu_limit_cores,
        cpu_limit_ratio=_ratio(rates.cpu_cores, container.cpu_limit_cores),
        memory_working_set_bytes=memory,
        memory_limit_bytes=container.memory_limit_bytes,
        memory_limit_ratio=_ratio(memory, container.memory_limit_bytes),
        network_receive_bytes_per_second=rates.receive_bytes,
        network_transmit_bytes_per_second=rates.transmit_bytes,
        block_read_bytes_per_second=rates.read_bytes,
        block_write_bytes_per_second=rates.write_bytes,
        pids=sample.pids if sample else None,
    )


def rows(
    containers: Iterable[Container], samples: Mapping[str, Sample], rates: Mapping[str, Rates], now: float
) -> tuple[ContainerRow, ...]:
    """Return every container as a row."""
    return tuple(row(c, samples.get(c.id), rates.get(c.id, UNKNOWN), now) for c in containers)


def host_overview(
    engine: Engine,
    link: Link,
    rows: Iterable[ContainerRow],
    sample: HostSample | None,
    busy: float | None,
    *,
    complete: bool,
) -> HostOverview:
    """Return the host; without a ``sample`` of its own files it is only what the Engine says."""
    rows = list(rows)
    counted = Counter(each.state for each in rows)
    load1, load5, load15 = sample.loads if sample else (None, None, None)
    return HostOverview(
        name=engine.name,
        engine_product=engine.product,
        engine_version=engine.version,
        api_version=engine.api_version,
        operating_system=engine.os,
        up=link.up,
        since_timestamp_seconds=link.since,
        error=link.error,
        complete=complete,
        cpus=engine.cpus or None,
        cpu_busy_ratio=busy,
        memory_total_bytes=(sample.memory_total_bytes if sample else None) or engine.memory_bytes or None,
        memory_available_bytes=sample.memory_available_bytes if sample else None,
        load1=load1,
        load5=load5,
        load15=load15,
        containers_by_state={state: counted[state] for state in STATES},
        unhealthy=sum(each.running and each.health == "unhealthy" for each in rows),
    )


def _uptime(container: Container, now: float) -> float | None:
    if container.state not in ("running", "paused") or container.started_at is None:
        return None
    return max(0.0, now - container.started_at)  # a remote Engine's clock may be ahead of ours


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
