"""One container as a line of the table."""

from __future__ import annotations

from dataclasses import dataclass

from compose_agent.dockerd.overview import ContainerRow, words
from compose_agent.web.page import Bar, bar


@dataclass(frozen=True, slots=True)
class Line:
    """A row's cells as text."""

    id: str
    name: str
    image: str
    project: str
    service: str
    number: str
    level: str
    running: bool
    state: str
    detail: str
    oom_kills: int
    cpu: str
    cpu_limit: str
    cpu_bar: Bar | None
    memory: str
    memory_limit: str
    memory_bar: Bar | None
    network: tuple[str, str] | None
    disk: tuple[str, str] | None
    pids: str
    restarts: int
    uptime: str
    times: str


def line(row: ContainerRow, now: float, cpus: int | None, memory: int | None) -> Line:
    """Return a row's line; ``cpus`` and ``memory`` are the host's, for bars without a limit."""
    return Line(
        id=row.id,
        name=row.name,
        image=row.image,
        project=row.project,
        service=row.service,
        number=row.number,
        level=words.level(row),
        running=row.running,
        state=row.state,
        detail=words.state_detail(row),
        oom_kills=row.oom_kills,
        cpu=words.percent(row.cpu_cores),
        cpu_limit=words.plain_percent(row.cpu_limit_cores) if row.cpu_limit_cores and row.running else "",
        cpu_bar=_bar(row.cpu_limit_ratio, row.cpu_cores, cpus),
        memory=words.size(row.memory_working_set_bytes),
        memory_limit=words.plain_size(row.memory_limit_bytes)
        if row.memory_limit_bytes and row.running
        else "",
        memory_bar=_bar(row.memory_limit_ratio, row.memory_working_set_bytes, memory),
        network=_two_rates(row.network_receive_bytes_per_second, row.network_transmit_bytes_per_second),
        disk=_two_rates(row.block_read_bytes_per_second, row.block_write_bytes_per_second),
        pids=words.DASH if row.pids is None else str(row.pids),
        restarts=row.restarts,
        uptime=words.lifetime(row, now),
        times=_times(row),
    )


def _bar(of_limit: float | None, value: float | None, whole: float | None) -> Bar | None:
    if of_limit is not None:
        return bar(of_limit)
    return bar(value / whole, limit=False) if value is not None and whole else None


def _two_rates(first: float | None, second: float | None) -> tuple[str, str] | None:
    return None if first is None and second is None else (words.rate(first), words.rate(second))


def _times(row: ContainerRow) -> str:
    started, finished = row.started_timestamp_seconds, row.finished_timestamp_seconds
    parts = [f"started {words.date(started)}"] if started else []
    parts += [f"ended {words.date(finished)}"] if finished and not row.running else []
    return ", ".join(parts)
