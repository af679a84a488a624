"""All containers in one table, and what they use."""

from __future__ import annotations

from dashboards.source.model import Column, Dashboard, Panel, Query, Row, Step, Word
from dashboards.source.parts import (
    AMBER,
    CONTAINER,
    CONTAINER_VARIABLES,
    FULL,
    GREEN,
    GREY,
    HEALTH_COLORS,
    IDENTITY,
    RED,
    ROW_TO_CONTAINER,
    ROW_TO_PROJECT,
    STATE_COLORS,
    TO_CONTAINER,
    container_marks,
)

_RATE = "[$__rate_interval]"
# Block I/O and networks that a container shares are not known for all.
NO_BLOCK_IO = (
    "the kernel counts no block I/O for these containers (cgroup v1 without any throttle rule on the device)"
)
NO_NETWORK = "these containers share the network of the host or of another container"


def _of(metric: str, by: str = IDENTITY) -> str:
    return f"max by ({by}) ({metric}{{{CONTAINER}}})"


def _rate(metric: str) -> str:
    return f"sum by ({IDENTITY}) (rate({metric}{{{CONTAINER}}}{_RATE}))"


_EXIT_CODES = [Word(0, "0", GREEN), Word(137, "137 killed", RED), Word(143, "143 stopped", GREY)]
# The letter of a query names its column of values.
_TABLE = [
    Query(f"max by ({IDENTITY}, state) (docker_container_state{{{CONTAINER}}} == 1)"),
    Query(f"max by ({IDENTITY}, status) (docker_container_health{{{CONTAINER}}} == 1)"),
    Query(f"max by ({IDENTITY}, image) (docker_container_info{{{CONTAINER}}})"),
    Query(
        f"time() - max by ({IDENTITY}) (docker_container_started_timestamp_seconds{{{CONTAINER}}} "
        'and ignoring (state) docker_container_state{state="running"} == 1)'
    ),
    Query(_rate("docker_container_cpu_usage_seconds_total")),
    Query(_of("docker_container_memory_working_set_bytes")),
    Query(
        f"max by ({IDENTITY}) (docker_container_memory_working_set_bytes{{{CONTAINER}}} "
        "/ (docker_container_memory_limit_bytes > 0))"
    ),
    Query(
        f"{_rate('docker_container_network_receive_bytes_total')}\n  + "
        f"{_rate('docker_container_network_transmit_bytes_total')}"
    ),
    Query(_of("docker_container_restarts_total")),
    Query(_of("docker_container_exit_code")),
]
_COLUMNS = [
    Column("name", "Container", link=ROW_TO_CONTAINER, width=220),
    Column("compose_project", "Project", link=ROW_TO_PROJECT),
    Column("compose_service", "Service"),
    Column("state", "State", colors=STATE_COLORS, width=100),
    Column("status", "Health", colors=HEALTH_COLORS, width=100),
    Column("image", "Image"),
    Column("Value #D", "Runs for", unit="s", width=110),
    Column("Value #E", "Cores", unit="none", width=80),
    Column("Value #F", "Memory", unit="bytes", width=110),
    Column("Value #G", "Of its limit", unit="percentunit", gauge=True, steps=FULL, width=140),
    Column("Value #H", "Network", unit="Bps", width=110),
    Column("Value #I", "Restarts", unit="none", steps=(Step(None, GREY), Step(1, AMBER)), width=90),
    Column("Value #J", "Exit code", unit="none", words=_EXIT_CODES, width=120),
    Column("instance", "Host"),
]


def _series(title: str, description: str, metric: str, unit: str, empty: str = "") -> Panel:
    query = Query(_rate(metric), "{{name}}")
    return Panel(title, description, queries=[query], unit=unit, link=TO_CONTAINER, may_be_empty=empty)


DASHBOARD = Dashboard(
    uid="compose-agent-containers",
    title="Containers",
    description="All containers of these hosts, stopped ones too, and what they use.",
    variables=CONTAINER_VARIABLES,
    marks=container_marks(CONTAINER),
    actions_shown=True,
    rows=[
        Row(
            "All containers",
            [
                Panel(
                    "Containers",
                    "One row for each container. Restarts are those by its restart policy since it was last "
                    "started by hand; exit codes are those of the last run. An empty cell means that there "
                    "is nothing to know: no limit, no exit code while it runs, no usage while it does not.",
                    "table",
                    _TABLE,
                    width=24,
                    height=14,
                    columns=_COLUMNS,
                    sort_by="Cores",
                )
            ],
        ),
        Row(
            "What they use",
            [
                _series(
                    "CPU",
                    "Cores used by each container; 1 is one core all the time.",
                    "docker_container_cpu_usage_seconds_total",
                    "none",
                ),
                Panel(
                    "Memory",
                    "Memory in use without inactive file cache, by container.",
                    queries=[Query(_of("docker_container_memory_working_set_bytes"), "{{name}}")],
                    unit="bytes",
                    link=TO_CONTAINER,
                ),
                _series(
                    "Received",
                    "Bytes received in a second, over all interfaces of a container.",
                    "docker_container_network_receive_bytes_total",
                    "Bps",
                    NO_NETWORK,
                ),
                _series(
                    "Sent",
                    "Bytes sent in a second, over all interfaces of a container.",
                    "docker_container_network_transmit_bytes_total",
                    "Bps",
                    NO_NETWORK,
                ),
                _series(
                    "Read from disks",
                    "Bytes read from block devices in a second. What the file cache answers is not among it.",
                    "docker_container_fs_read_bytes_total",
                    "Bps",
                    NO_BLOCK_IO,
                ),
                _series(
                    "Written to disks",
                    "Bytes written to block devices in a second. What the kernel writes later in another's "
                    "name may be missing.",
                    "docker_container_fs_write_bytes_total",
                    "Bps",
                    NO_BLOCK_IO,
                ),
            ],
        ),
    ],
)
