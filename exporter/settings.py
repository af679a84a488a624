"""The exporter's options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_agent.address import Address
from compose_agent.config import Option, kinds, option, option_map
from compose_agent.web.options import listen_addresses, web_config_file


def _collector_switches() -> Iterator[Option]:
    from exporter.collectors import registered  # noqa: PLC0415 - collectors import these settings

    for collector in registered():
        default = "true" if collector.default else "false"
        yield Option(collector.name, kinds.boolean, default, f"Collect {collector.help}.")


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """What the exporter reads, from where, and where it serves it."""

    listen_addresses: tuple[Address, ...] = listen_addresses("127.0.0.1:9417", "metrics and the page")
    web_config_file: Path | None = web_config_file()
    telemetry_path: str = option(
        "web.telemetry-path", kinds.url_path, "/metrics", "The path under which metrics are served."
    )
    scrape_timeout: float = option(
        "scrape-timeout",
        kinds.positive_duration,
        "9s",
        "The longest a scrape waits for the Engine's stats API, where files cannot be read; Prometheus' own "
        "timeout, less half a second, counts if it is shorter.",
    )
    stale_after: float = option(
        "stale-after",
        kinds.duration,
        "1m",
        "How long the Engine's last word on containers is served after it fell silent; what files say "
        "goes on.",
    )
    procfs: Path = option("path.procfs", kinds.path, "/proc", "Where the host's /proc is seen.")
    cgroupfs: Path = option(
        "path.cgroupfs", kinds.path, "/sys/fs/cgroup", "Where the host's cgroups are seen."
    )
    rootfs: Path = option(
        "path.rootfs",
        kinds.path,
        "/",
        "Where the host's root is seen, for the size of the Docker root's disk.",
    )
    usage_source: str = option(
        "usage-source",
        kinds.choice("auto", "cgroup", "api"),
        "auto",
        "Where usage is read: cgroup files, the Engine's stats API, or (auto) the API only for what files do "
        "not tell.",
    )
    container_labels: tuple[str, ...] = option(
        "container-labels",
        kinds.string,
        None,
        "Globs of container labels to put on docker_container_info, as label_NAME; repeatable.",
        multiple=True,
    )
    compose_forget_after: float = option(
        "compose.forget-after",
        kinds.duration,
        "24h",
        "How long a Compose service is shown with 0 containers after the last one is gone. A restarted "
        "exporter knows only the services that it sees.",
    )
    otlp_interval: float = option(
        "otlp-interval",
        kinds.duration,
        "0s",
        "How often all metrics are also pushed as OTLP to the collector of tracing.endpoint, or of the "
        "variables OTEL_EXPORTER_OTLP_…; 0s: never.",
    )
    collectors: Mapping[str, bool] = option_map("collector", _collector_switches)
