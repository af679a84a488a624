"""A Compose project: its services and what they use together."""

from __future__ import annotations

from dashboards.source.containers import NO_BLOCK_IO, NO_NETWORK
from dashboards.source.model import Column, Dashboard, Panel, Query, Row, Step
from dashboards.source.parts import (
    AMBER,
    EXPORTER_VARIABLES,
    GREEN,
    PROJECT,
    PROJECT_VARIABLE,
    RED,
    SERVICE,
    container_marks,
    to,
)

_RATE = "[$__rate_interval]"
_OF_SERVICES = f'{PROJECT}, compose_service!=""'
_TO_CONTAINERS = to(
    "compose-agent-containers",
    "var-project=${__field.labels.compose_project}&var-service=${__field.labels.compose_service}",
)
_ROW_TO_CONTAINERS = to(
    "compose-agent-containers", "var-project=${__data.fields.Project}&var-service=${__data.fields.Service}"
)
_LEGEND = "{{compose_project}}/{{compose_service}}"


def _in_state(states: str) -> str:
    return f'sum by ({SERVICE}) (docker_compose_service_containers{{{PROJECT}, state=~"{states}"}})'


def _rate(metric: str) -> str:
    return f"sum by ({SERVICE}) (rate({metric}{{{_OF_SERVICES}}}{_RATE}))"


def _lines(title: str, description: str, expr: str, unit: str, empty: str = "") -> Panel:
    return Panel(
        title, description, queries=[Query(expr, _LEGEND)], unit=unit, link=_TO_CONTAINERS, may_be_empty=empty
    )


_CPU = _rate("docker_container_cpu_usage_seconds_total")
_MEMORY = f"sum by ({SERVICE}) (docker_container_memory_working_set_bytes{{{_OF_SERVICES}}})"
_SERVICES = Panel(
    "Services",
    "One row for each service, also for a day after its last container is gone. Down means that no replica "
    "runs; jobs that are done are down as well.",
    "table",
    [
        Query(_in_state("running")),
        Query(_in_state("created|paused|restarting|removing|exited|dead")),
        Query(f'sum by ({SERVICE}) (docker_container_health{{{_OF_SERVICES}, status="unhealthy"}})'),
        Query(_CPU),
        Query(_MEMORY),
        Query(f"sum by ({SERVICE}) (increase(docker_container_restarts_total{{{_OF_SERVICES}}}[1h]))"),
    ],
    width=24,
    height=9,
    columns=[
        Column("compose_project", "Project"),
        Column("compose_service", "Service", link=_ROW_TO_CONTAINERS),
        Column("Value #A", "Running", unit="none", steps=(Step(None, RED), Step(1, GREEN)), width=100),
        Column("Value #B", "Not running", unit="none", steps=(Step(None, GREEN), Step(1, AMBER)), width=110),
        Column("Value #C", "Unhealthy", unit="none", steps=(Step(None, GREEN), Step(1, RED)), width=100),
        Column("Value #D", "Cores", unit="none", width=100),
        Column("Value #E", "Memory", unit="bytes", width=120),
        Column(
            "Value #F", "Restarts, 1 h", unit="none", steps=(Step(None, GREEN), Step(1, AMBER)), width=120
        ),
        Column("instance", "Host"),
    ],
    sort_by="Cores",
    may_be_empty="no container here belongs to Compose",
)

DASHBOARD = Dashboard(
    uid="compose-agent-project",
    title="Compose project",
    description="The services of Compose projects: replicas, health, and what they use together.",
    variables=[*EXPORTER_VARIABLES, PROJECT_VARIABLE],
    marks=container_marks(PROJECT),
    actions_shown=True,
    rows=[
        Row("Services", [_SERVICES]),
        Row(
            "Replicas",
            [
                _lines(
                    "Running replicas",
                    "Containers of each service that run. Steps are scaling, deployments and failures; the "
                    "marks tell which.",
                    _in_state("running"),
                    "none",
                ),
                _lines(
                    "Restarts by policy",
                    "Restarts by restart policy in five minutes, by service.",
                    f"sum by ({SERVICE}) (increase(docker_container_restarts_total{{{_OF_SERVICES}}}[5m]))",
                    "none",
                ),
            ],
        ),
        Row(
            "What they use",
            [
                _lines("CPU by service", "Cores used by all replicas together.", _CPU, "none"),
                _lines("Memory by service", "Working set of all replicas together.", _MEMORY, "bytes"),
                _lines(
                    "CPU of what they may use",
                    "Cores used as a share of the quotas of all running replicas, one core each where there "
                    "is no quota: what scaling goes by. Above 80 % a service is saturated.",
                    "compose_service:cpu_usage_cores:rate2m{"
                    + PROJECT
                    + "}\n  / (compose_service:replicas:running "
                    "* compose_service:replica_cpu_limit_cores:avg > 0)",
                    "percentunit",
                    "the recording rules of alerts/rules/services.yml are not loaded, or nothing runs",
                ),
                _lines(
                    "Throttled by service",
                    "Share of the quotas' periods in which replicas had to wait.",
                    f"{_rate('docker_container_cpu_throttled_periods_total')}\n  / "
                    f"({_rate('docker_container_cpu_periods_total')} > 0)",
                    "percentunit",
                    "no service has a CPU quota",
                ),
                _lines(
                    "Received by service",
                    "Bytes received in a second by all replicas.",
                    _rate("docker_container_network_receive_bytes_total"),
                    "Bps",
                    NO_NETWORK,
                ),
                _lines(
                    "Sent by service",
                    "Bytes sent in a second by all replicas.",
                    _rate("docker_container_network_transmit_bytes_total"),
                    "Bps",
                    NO_NETWORK,
                ),
                _lines(
                    "Written to disks by service",
                    "Bytes written to block devices in a second by all replicas.",
                    _rate("docker_container_fs_write_bytes_total"),
                    "Bps",
                    NO_BLOCK_IO,
                ),
            ],
        ),
    ],
)
