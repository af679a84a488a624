"""The host, as Docker and the exporter see it."""

from __future__ import annotations

from dashboards.source.model import Dashboard, Panel, Query, Row, Step
from dashboards.source.parts import AMBER, EXPORTER_VARIABLES, FULL, GREEN, HOST, RED, container_marks

_RATE = "[$__rate_interval]"
_BY = "job, instance"


def _sum(expr: str) -> str:
    return f"sum by ({_BY}) ({expr})"


_CPU = _sum(f"rate(docker_host_cpu_seconds_total{{{HOST}}}{_RATE})")
_IDLE = _sum(f'rate(docker_host_cpu_seconds_total{{{HOST}, mode=~"idle|iowait"}}{_RATE})')
_BUSY = f"1 - {_IDLE}\n  / ({_CPU} > 0)"
_MEMORY_USED = (
    f"1 - docker_host_memory_available_bytes{{{HOST}}}\n  / (docker_host_memory_total_bytes{{{HOST}}} > 0)"
)
_DISK_USED = (
    f"1 - docker_host_filesystem_available_bytes{{{HOST}}}\n"
    f"  / (docker_host_filesystem_size_bytes{{{HOST}}} > 0)"
)
_NO_ROOT = "the exporter was not shown the Docker root's file system (--path.rootfs)"


def _share(title: str, description: str, expr: str, steps: tuple[Step, ...] = FULL, empty: str = "") -> Panel:
    query = Query(expr, "{{instance}}", instant=True)
    return Panel(
        title,
        description,
        "bargauge",
        [query],
        "percentunit",
        width=6,
        height=5,
        least=0,
        most=1,
        steps=steps,
        may_be_empty=empty,
    )


def _fact(title: str, description: str, expr: str, unit: str) -> Panel:
    query = Query(expr, "{{instance}}", instant=True)
    return Panel(title, description, "stat", [query], unit, width=3, height=5)


DASHBOARD = Dashboard(
    uid="compose-agent-host",
    title="Host as Docker sees it",
    description="CPU, memory, load and Docker's disk of the host, and how much of them containers use.",
    variables=EXPORTER_VARIABLES,
    marks=container_marks(HOST),
    actions_shown=True,
    rows=[
        Row(
            "Now",
            [
                _share(
                    "CPU busy",
                    "Share of all cores that works. A while above 90 % means that work waits.",
                    _BUSY,
                ),
                _share(
                    "Memory used",
                    "Share of the host's memory that could not be had without swapping.",
                    _MEMORY_USED,
                ),
                _share(
                    "Docker's disk used",
                    "Share of the file system below the Docker root: images, containers, volumes, logs, and "
                    "whatever else is on it.",
                    _DISK_USED,
                    (Step(None, GREEN), Step(0.85, AMBER), Step(0.95, RED)),
                    _NO_ROOT,
                ),
                _fact(
                    "Cores", "Cores of the host, by the CPU time that passes on it.", f"round({_CPU})", "none"
                ),
                _fact("Memory", "Memory of the host.", f"docker_host_memory_total_bytes{{{HOST}}}", "bytes"),
            ],
        ),
        Row(
            "CPU and load",
            [
                Panel(
                    "CPU by mode",
                    "Cores, by what they did. iowait is time in which nothing could run because disks were "
                    "waited for; steal is what the hypervisor gave to others.",
                    queries=[
                        Query(
                            f"sum by (instance, mode) (rate(docker_host_cpu_seconds_total{{{HOST}, "
                            f'mode!="idle"}}{_RATE}))',
                            "{{instance}} {{mode}}",
                        )
                    ],
                    unit="none",
                ),
                Panel(
                    "Containers and the rest",
                    "Cores used by all containers together, and by everything on the host. The gap is the "
                    "host's own: the Engine, the kernel, programs outside containers.",
                    queries=[
                        Query(
                            _sum(f"rate(docker_container_cpu_usage_seconds_total{{{HOST}}}{_RATE})"),
                            "{{instance}}: containers",
                        ),
                        Query(
                            _sum(
                                f'rate(docker_host_cpu_seconds_total{{{HOST}, mode!~"idle|iowait"}}{_RATE})'
                            ),
                            "{{instance}}: the whole host",
                        ),
                    ],
                    unit="none",
                ),
                Panel(
                    "Load",
                    "Load average over one minute: what runs, and what waits for CPU or disks. Compare it "
                    "with the number of cores.",
                    queries=[Query(f"docker_host_load1{{{HOST}}}", "{{instance}}")],
                    unit="none",
                ),
            ],
        ),
        Row(
            "Memory and disk",
            [
                Panel(
                    "Memory of the host and of containers",
                    "All memory, what is in use, and the working set of all containers together.",
                    queries=[
                        Query(f"docker_host_memory_total_bytes{{{HOST}}}", "{{instance}}: all"),
                        Query(
                            f"docker_host_memory_total_bytes{{{HOST}}} - "
                            f"docker_host_memory_available_bytes{{{HOST}}}",
                            "{{instance}}: in use",
                        ),
                        Query(
                            _sum(f"docker_container_memory_working_set_bytes{{{HOST}}}"),
                            "{{instance}}: containers",
                        ),
                    ],
                    unit="bytes",
                    dashed=[".*: all"],
                ),
                Panel(
                    "Memory promised and there",
                    "The sum of the memory limits of running containers against the memory of the host. "
                    "Above it, not all can have at once what they may.",
                    queries=[
                        Query(
                            _sum(
                                f"docker_container_memory_limit_bytes{{{HOST}}} "
                                'and ignoring (state) docker_container_state{state="running"} == 1'
                            ),
                            "{{instance}}: limits",
                        ),
                        Query(f"docker_host_memory_total_bytes{{{HOST}}}", "{{instance}}: all"),
                    ],
                    unit="bytes",
                    dashed=[".*: all"],
                ),
                Panel(
                    "Docker's disk, left",
                    "Bytes left on the Docker root's file system for ordinary users, and its size, dashed.",
                    queries=[
                        Query(f"docker_host_filesystem_available_bytes{{{HOST}}}", "{{instance}}: left"),
                        Query(f"docker_host_filesystem_size_bytes{{{HOST}}}", "{{instance}}: size"),
                    ],
                    unit="bytes",
                    dashed=[".*: size"],
                    may_be_empty=_NO_ROOT,
                ),
                Panel(
                    "Docker's disk in a day",
                    "What will be left in a day if it goes on as in the last six hours. Below 0 it will be "
                    "full before.",
                    queries=[
                        Query(
                            f"predict_linear(docker_host_filesystem_available_bytes{{{HOST}}}[6h], 24 * "
                            f"3600)",
                            "{{instance}}",
                        )
                    ],
                    unit="bytes",
                    may_be_empty=_NO_ROOT,
                ),
            ],
        ),
    ],
)
