"""The Docker Engine: whether it answers, how fast, and what it is."""

from __future__ import annotations

from dashboards.source.model import Column, Dashboard, Panel, Query, Row
from dashboards.source.parts import EXPORTER_VARIABLES, HOST, YES_IS_GOOD

_RATE = "[$__rate_interval]"
_BUCKETS = f"sum by (le, call) (rate(docker_engine_request_duration_seconds_bucket{{{HOST}}}{_RATE}))"
_DISK_USAGE = """\
Sizes of images, volumes and the build cache are not measured yet: the Engine walks every layer and volume for
them, which takes seconds to minutes. On the host: `docker system df -v`. How full the disk is, the dashboard
*Host as Docker sees it* tells.
"""

_ENGINES = Panel(
    "Engines",
    "What each Engine says of itself and its host.",
    "table",
    [Query(f"docker_engine_info{{{HOST}}}")],
    width=16,
    height=6,
    columns=[
        Column("instance", "Host"),
        Column("engine", "Engine"),
        Column("version", "Version"),
        Column("api_version", "API"),
        Column("os", "System"),
        Column("kernel", "Kernel"),
        Column("cgroup_version", "Cgroup"),
        Column("storage_driver", "Storage"),
    ],
)

DASHBOARD = Dashboard(
    uid="compose-agent-engine",
    title="Docker Engine",
    description="Whether the Engine answers, how fast, and how the exporter keeps its picture of it.",
    variables=EXPORTER_VARIABLES,
    rows=[
        Row(
            "Now",
            [
                Panel(
                    "Answers",
                    "Whether the Engine answers. no: what the exporter says of containers is old, and soon "
                    "is no longer said.",
                    "stat",
                    [Query(f"docker_up{{{HOST}}}", "{{instance}}", instant=True)],
                    "none",
                    width=8,
                    height=6,
                    words=YES_IS_GOOD,
                    colored_background=True,
                ),
                _ENGINES,
            ],
        ),
        Row(
            "Containers",
            [
                Panel(
                    "Containers by state, by host",
                    "How many containers are in each state.",
                    queries=[Query(f"docker_containers{{{HOST}}} > 0", "{{instance}} {{state}}")],
                    unit="none",
                    decimals=0,
                ),
                Panel(
                    "Where usage comes from",
                    "Running containers by the source of their usage: cgroup files cost nothing, the stats "
                    "API makes the Engine work, none means that neither can be read.",
                    queries=[Query(f"docker_exporter_usage_containers{{{HOST}}}", "{{instance}} {{source}}")],
                    unit="none",
                    decimals=0,
                ),
            ],
        ),
        Row(
            "Requests to it",
            [
                Panel(
                    "Requests by call",
                    "Requests of the exporter to the Engine in a second. In rest there is a ping every two "
                    "seconds, and nothing else.",
                    queries=[
                        Query(
                            f"sum by (instance, call) "
                            f"(rate(docker_engine_request_duration_seconds_count{{{HOST}}}{_RATE})) > 0",
                            "{{instance}} {{call}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Requests that failed",
                    "Requests to the Engine that failed in a second, by call and reason.",
                    queries=[
                        Query(
                            f"sum by (instance, call, reason) "
                            f"(rate(docker_engine_request_errors_total{{{HOST}}}{_RATE}))",
                            "{{instance}} {{call}}: {{reason}}",
                        )
                    ],
                    unit="reqps",
                    may_be_empty="no request has failed since the exporter was started",
                ),
                Panel(
                    "How long it takes: half of the answers",
                    "Half of the answers came within this time, by call.",
                    queries=[Query(f"histogram_quantile(0.5, {_BUCKETS})", "{{call}}", exemplars=True)],
                    unit="s",
                ),
                Panel(
                    "How long it takes: the slow ones",
                    "99 of 100 answers came within this time, by call. A ping above half a second is an "
                    "Engine in trouble.",
                    queries=[Query(f"histogram_quantile(0.99, {_BUCKETS})", "{{call}}", exemplars=True)],
                    unit="s",
                ),
            ],
        ),
        Row(
            "The exporter's picture of it",
            [
                Panel(
                    "Event streams opened",
                    "Times in five minutes that the stream of events was opened. More than one at the start "
                    "is a connection that broke.",
                    queries=[
                        Query(
                            f"increase(docker_exporter_engine_connects_total{{{HOST}}}[5m])", "{{instance}}"
                        )
                    ],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Everything listed anew",
                    "Times in five minutes that all containers were listed: about once, and after each "
                    "break.",
                    queries=[
                        Query(
                            f"increase(docker_exporter_inventory_reconciles_total{{{HOST}}}[5m])",
                            "{{instance}}",
                        )
                    ],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Changes that no event told",
                    "Changes in an hour that were found by listing, and not told by an event. Many mean "
                    "that the Engine drops events.",
                    queries=[
                        Query(
                            f"increase(docker_exporter_inventory_missed_changes_total{{{HOST}}}[1h])",
                            "{{instance}}",
                        )
                    ],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Images, volumes, build cache",
                    "Why their sizes are not here.",
                    "text",
                    width=24,
                    height=4,
                    text=_DISK_USAGE,
                ),
            ],
        ),
    ],
)
