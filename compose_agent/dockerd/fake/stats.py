"""One sample of ``GET /containers/{id}/stats``, on cgroup v1 or v2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.fake.clock import NANOSECONDS
from compose_agent.dockerd.fake.times import rfc3339

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.model import Container

Json = dict[str, Any]
ONLINE_CPUS = 2
HOST_MEMORY = 8_589_934_592
UNLIMITED_V1 = 9_223_372_036_854_771_712
_BLOCK_KEYS = ("serviced", "queue", "service_time", "wait_time", "merged", "time")


def sample(container: Container, now_ns: int, previous_ns: int | None, *, cgroup_v2: bool) -> Json:
    """Return a sample; ``previous_ns`` is the time of the one before, None on one-shot.

    A container that does not run gives the Engine's empty shape: zero times, no figures.
    """
    running = container.state.running and not container.state.restarting
    shape: Json = {
        "id": container.id,
        "name": f"/{container.name}",
        "read": rfc3339(now_ns if running else None),
        "preread": rfc3339(previous_ns if running else None),
        "num_procs": 0,
        "storage_stats": {},
        "pids_stats": _pids(container) if running else {},
        "blkio_stats": _block(container, cgroup_v2=cgroup_v2) if running else _block_nothing(None),
        "cpu_stats": _cpu(container, now_ns if running else None, cgroup_v2=cgroup_v2),
        "precpu_stats": _cpu(container, previous_ns if running else None, cgroup_v2=cgroup_v2),
        "memory_stats": _memory(container, cgroup_v2=cgroup_v2) if running else {},
    }
    if running and set(container.networks) - {"none", "host"}:
        shape["networks"] = {f"eth{number}": _network(container) for number in range(len(container.networks))}
    return shape


def cpu_seconds(container: Container, now_ns: int) -> float:
    """Return the processor time used up to now, over all runs."""
    running_ns = now_ns - (container.state.started_ns or now_ns)
    return container.cpu_seconds_before + container.usage.cpu_cores * max(0, running_ns) / NANOSECONDS


def _pids(container: Container) -> Json:
    limit = container.host_config["PidsLimit"]
    return {"current": container.usage.pids} | ({"limit": limit} if limit else {})


def _cpu(container: Container, at_ns: int | None, *, cgroup_v2: bool) -> Json:
    used = 0 if at_ns is None else round(cpu_seconds(container, at_ns) * NANOSECONDS)
    usage: Json = {
        "total_usage": used,
        "usage_in_kernelmode": used // 4,
        "usage_in_usermode": used - used // 4,
    }
    throttled = container.usage.throttled_periods if at_ns is not None else 0
    throttling = {
        "periods": throttled,
        "throttled_periods": throttled,
        "throttled_time": throttled * 10_000_000,
    }
    if at_ns is None:
        return {"cpu_usage": usage, "throttling_data": throttling}
    if not cgroup_v2:
        usage["percpu_usage"] = [used // ONLINE_CPUS] * ONLINE_CPUS
    return {
        "cpu_usage": usage,
        "system_cpu_usage": at_ns * ONLINE_CPUS,
        "online_cpus": ONLINE_CPUS,
        "throttling_data": throttling,
    }


def _memory(container: Container, *, cgroup_v2: bool) -> Json:
    usage = container.usage
    total = usage.memory_bytes + usage.cache_bytes
    limit = container.host_config["Memory"]
    if cgroup_v2:
        stats = {"anon": usage.memory_bytes, "file": usage.cache_bytes, "inactive_file": usage.cache_bytes}
        return {"usage": total, "stats": stats, "limit": limit or HOST_MEMORY}
    stats = {
        "cache": usage.cache_bytes,
        "rss": usage.memory_bytes,
        "inactive_file": usage.cache_bytes,
        "total_inactive_file": usage.cache_bytes,
        "hierarchical_memory_limit": limit or UNLIMITED_V1,
    }
    return {"usage": total, "max_usage": total, "stats": stats, "limit": limit or HOST_MEMORY}


def _block_nothing(nothing: list[Json] | None) -> Json:
    keys = ["io_service_bytes", *(f"io_{key}" for key in _BLOCK_KEYS), "sectors"]
    return {f"{key}_recursive": nothing for key in keys}


def _block(container: Container, *, cgroup_v2: bool) -> Json:
    usage = container.usage
    figures = {"Read": usage.block_read_bytes, "Write": usage.block_write_bytes}
    if not any(figures.values()):
        return _block_nothing([])
    entries = [
        {"major": 8, "minor": 0, "op": op.lower() if cgroup_v2 else op, "value": value}
        for op, value in figures.items()
    ]
    return _block_nothing(None if cgroup_v2 else []) | {"io_service_bytes_recursive": entries}


def _network(container: Container) -> Json:
    usage = container.usage
    return {
        "rx_bytes": usage.network_rx_bytes,
        "rx_packets": usage.network_rx_bytes // 1000,
        "rx_errors": 0,
        "rx_dropped": 0,
        "tx_bytes": usage.network_tx_bytes,
        "tx_packets": usage.network_tx_bytes // 1000,
        "tx_errors": 0,
        "tx_dropped": 0,
    }
