"""The first thing one sees: is all well, and if not, where."""

from __future__ import annotations

from dashboards.source.model import Column, Dashboard, Panel, Query, Row, Step
from dashboards.source.parts import (
    AMBER,
    EXPORTER_VARIABLES,
    GREEN,
    HOST,
    IDENTITY,
    NONE_IS_CALM,
    NONE_IS_GOOD,
    RED,
    ROW_TO_CONTAINER,
    TO_CONTAINER,
    container_marks,
    to,
)

_TO_CONTAINERS = to("compose-agent-containers")
_TO_ENGINE = to("compose-agent-engine")
# Alerts about Prometheus itself are of no host.
_ALERTS = 'ALERTS{alertstate="firing", severity=~"critical|warning|info", instance=~"$instance|"}'
_CPU = f"sum by ({IDENTITY}) (rate(docker_container_cpu_usage_seconds_total{{{HOST}}}[$__rate_interval]))"
_TRAFFIC = " + ".join(
    f"sum by ({IDENTITY}) (rate(docker_container_network_{way}_bytes_total{{{HOST}}}[$__rate_interval]))"
    for way in ("receive", "transmit")
)


def _count(
    title: str, description: str, expr: str, steps: tuple[Step, ...] = (), link: str = _TO_CONTAINERS
) -> Panel:
    # A sum over no series is no series; a fresh host has none of some kinds, and that is 0.
    query = Query(f"({expr}) or vector(0)", instant=True)
    return Panel(
        title,
        description,
        "stat",
        [query],
        width=3,
        height=4,
        decimals=0,
        steps=steps,
        link=link,
        colored_background=True,
    )


_NOW = [
    _count(
        "Hosts that answer",
        "Hosts whose Docker Engine answers. One that does not is counted beside it as silent.",
        f"sum(docker_up{{{HOST}}})",
        (Step(None, RED), Step(1, GREEN)),
        _TO_ENGINE,
    ),
    _count(
        "Silent hosts",
        "Hosts whose Docker Engine does not answer. What is known of their containers is old, and soon is "
        "no longer shown.",
        f"count(docker_up{{{HOST}}} == 0)",
        NONE_IS_GOOD,
        _TO_ENGINE,
    ),
    _count(
        "Running",
        "Containers that run.",
        f'sum(docker_containers{{{HOST}, state="running"}})',
        (Step(None, GREEN),),
    ),
    _count(
        "Stopped",
        "Containers that have exited or are dead: jobs that are done, what was stopped by hand, and what "
        "has failed. The table of containers has their exit codes.",
        f'sum(docker_containers{{{HOST}, state=~"exited|dead"}})',
        NONE_IS_CALM,
    ),
    _count(
        "Unhealthy",
        "Containers whose health check has failed as often as it may.",
        f'sum(docker_container_health{{{HOST}, status="unhealthy"}})',
        NONE_IS_GOOD,
    ),
    _count(
        "Restarting",
        "Containers in the pause before their restart policy starts them again: they have just failed.",
        f'sum(docker_containers{{{HOST}, state="restarting"}})',
        NONE_IS_CALM,
    ),
    _count(
        "Killed for memory, 24 h",
        "Times in the last day that the kernel killed in a container because its memory was at the limit.",
        f"sum(increase(docker_container_oom_kills_total{{{HOST}}}[24h]))",
        NONE_IS_GOOD,
    ),
    _count(
        "Alerts that fire",
        "Alerts of alerts/rules that fire now, without the watchdog, which always does.",
        f"count({_ALERTS})",
        NONE_IS_GOOD,
        to("compose-agent-runbooks"),
    ),
]

_ALERT_TABLE = Panel(
    "What fires now",
    "Each alert that fires, and what it is about. A click on its name opens the runbooks.",
    "table",
    [
        Query(
            f"max by (alertname, severity, instance, name, compose_project, compose_service) ({_ALERTS})",
            instant=True,
        )
    ],
    width=24,
    height=7,
    may_be_empty="nothing fires",
    columns=[
        Column("alertname", "Alert", link=to("compose-agent-runbooks")),
        Column("severity", "Severity", colors={"critical": RED, "warning": AMBER, "info": "blue"}, width=110),
        Column("instance", "Host"),
        Column("name", "Container", link=ROW_TO_CONTAINER),
        Column("compose_project", "Project"),
        Column("compose_service", "Service"),
    ],
)


def _most(title: str, description: str, expr: str, unit: str) -> Panel:
    query = Query(f"topk(10, {expr})", "{{name}}", instant=True)
    return Panel(title, description, "bargauge", [query], unit, width=8, height=9, least=0, link=TO_CONTAINER)


def _latest(title: str, description: str, metric: str, empty: str = "") -> Panel:
    query = Query(f"topk(10, max by ({IDENTITY}) ({metric}{{{HOST}}})) * 1000", instant=True)
    columns = [
        Column("Value", "When", unit="dateTimeFromNow", width=150),
        Column("name", "Container", link=ROW_TO_CONTAINER),
        Column("compose_project", "Project"),
        Column("instance", "Host"),
    ]
    return Panel(
        title,
        description,
        "table",
        [query],
        width=12,
        height=8,
        columns=columns,
        sort_by="When",
        may_be_empty=empty,
    )


DASHBOARD = Dashboard(
    uid="compose-agent-overview",
    title="Overview",
    description="Is all well on these hosts, and if not, where? Everything leads on by a click.",
    variables=EXPORTER_VARIABLES,
    marks=container_marks(HOST),
    actions_shown=True,
    rows=[
        Row("Now", [*_NOW, _ALERT_TABLE]),
        Row(
            "Who uses most",
            [
                _most("CPU, the ten most", "Cores used, by container, over the last moments.", _CPU, "none"),
                _most(
                    "Memory, the ten most",
                    "Memory in use without inactive file cache: what docker stats shows, and what limits "
                    "are held against.",
                    f"max by ({IDENTITY}) (docker_container_memory_working_set_bytes{{{HOST}}})",
                    "bytes",
                ),
                _most(
                    "Network, the ten most", "Bytes received and sent in a second, together.", _TRAFFIC, "Bps"
                ),
            ],
        ),
        Row(
            "What happened last",
            [
                Panel(
                    "Containers by state",
                    "How many containers are in each state. Steps are starts and ends; a deployment shows "
                    "as both.",
                    queries=[Query(f"sum by (state) (docker_containers{{{HOST}}}) > 0", "{{state}}")],
                    unit="none",
                    decimals=0,
                ),
                Panel(
                    "Age of what is shown",
                    "Seconds since the exporter of each host was last read. It follows the interval of the "
                    "scrapes; a line that climbs is a host of which nothing is heard.",
                    queries=[Query(f"time() - timestamp(docker_up{{{HOST}}})", "{{instance}}")],
                    unit="s",
                ),
                _latest(
                    "Started last", "The ten latest starts.", "docker_container_started_timestamp_seconds"
                ),
                _latest(
                    "Ended last",
                    "The ten containers whose last run ended most recently; they may run again.",
                    "docker_container_finished_timestamp_seconds",
                    "no container has ended since it was created",
                ),
            ],
        ),
    ],
)
