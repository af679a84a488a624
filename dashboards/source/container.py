"""Everything about one container."""

from __future__ import annotations

import json
from urllib.parse import quote

from dashboards.source.containers import NO_BLOCK_IO, NO_NETWORK
from dashboards.source.model import Dashboard, Panel, Query, Row, Step
from dashboards.source.parts import (
    AMBER,
    CONTAINER,
    CONTAINER_VARIABLES,
    GREEN,
    HEALTH,
    IDENTITY,
    NONE_IS_CALM,
    NONE_IS_GOOD,
    RED,
    STATES,
    container_marks,
    numbered,
    words,
)

_RATE = "[$__rate_interval]"
_NO_LIMIT = "the container has no CPU quota, so nothing throttles it"
# The data source is that of the bundle; a query in the URL is JSON, in which Grafana fills in the container.
_LOGS_QUERY = {
    "datasource": "elasticsearch",
    "queries": [
        {"refId": "A", "query": "container.name:$container", "metrics": [{"type": "logs", "id": "1"}]},
    ],
    "range": {"from": "now-1h", "to": "now"},
}
_EXPLORE = f"/explore?schemaVersion=1&panes={quote(json.dumps({'logs': _LOGS_QUERY}), safe='$')}"
_KIBANA = (
    "http://127.0.0.1:5601/app/discover#/?_a=(query:(language:kuery,query:'container.name:%22$container%22'))"
)
_ELSEWHERE = f"""\
**Its log** is shipped by the log forwarder to where `logs.sink` says, and stays in Docker:

- on its host: `docker logs --tail 100 $container`
- with the profile `elk`: [here, in Explore]({_EXPLORE}), or in [Kibana](<{_KIBANA}>)

**What the agent did about it**: `compose-agent why $container`, or
[the page of the remediation role](http://127.0.0.1:9419/)

**Traces of what the agent did**, with the profile `tracing`:
[Jaeger](http://127.0.0.1:16686/search?service=compose-agent)
"""


def _of(metric: str) -> str:
    return f"max by ({IDENTITY}) ({metric}{{{CONTAINER}}})"


def _rate(metric: str, by: str = IDENTITY) -> str:
    return f"sum by ({by}) (rate({metric}{{{CONTAINER}}}{_RATE}))"


def _stat(
    title: str, description: str, expr: str, unit: str, *, empty: str = "", steps: tuple[Step, ...] = ()
) -> Panel:
    query = Query(expr, "{{name}}", instant=True)
    return Panel(
        title, description, "stat", [query], unit, width=4, height=4, may_be_empty=empty, steps=steps
    )


def _timeline(
    title: str, description: str, metric: str, label: str, named: tuple[tuple[str, str], ...]
) -> Panel:
    query = Query(numbered(metric, label, named, CONTAINER), "{{name}}")
    return Panel(
        title, description, "state-timeline", [query], "none", width=12, height=5, words=words(named)
    )


def _lines(
    title: str, description: str, queries: list[Query], unit: str, *, empty: str = "", dashed: str = ""
) -> Panel:
    return Panel(
        title, description, queries=queries, unit=unit, may_be_empty=empty, dashed=[dashed] if dashed else []
    )


_STANDING = [
    _stat(
        "Up for",
        "Time since the current run began; of a container that does not run, since its last one did.",
        f"time() - {_of('docker_container_started_timestamp_seconds')}",
        "s",
        empty="the container was never started",
    ),
    _stat(
        "Restarts by policy",
        "Restarts by its restart policy since it was last started by hand.",
        _of("docker_container_restarts_total"),
        "none",
        steps=NONE_IS_CALM,
    ),
    _stat(
        "Exit code",
        "Exit code of the last run. 137 is SIGKILL (memory, or a stop that took too long), 143 a polite "
        "stop.",
        _of("docker_container_exit_code"),
        "none",
        empty="it runs, or never did",
        steps=(Step(None, GREEN), Step(1, RED)),
    ),
    _stat(
        "Killed for memory",
        "Times that the kernel killed in it for memory, since the exporter was started.",
        _of("docker_container_oom_kills_total"),
        "none",
        steps=NONE_IS_GOOD,
    ),
    _stat(
        "Of its memory limit",
        "Working set as a share of the limit. At 100 % the kernel kills.",
        f"max by ({IDENTITY}) (docker_container_memory_working_set_bytes{{{CONTAINER}}} "
        "/ (docker_container_memory_limit_bytes > 0))",
        "percentunit",
        empty="it has no memory limit, or does not run",
        steps=(Step(None, GREEN), Step(0.8, AMBER), Step(0.9, RED)),
    ),
    _stat(
        "Lines not shipped yet",
        "Age of the oldest line of its log that is not read yet, over all sinks.",
        'max by (instance, name, id) (log_forwarder_lag_seconds{name=~"$container", instance=~"$instance"})',
        "s",
        empty="no log forwarder ships its log",
    ),
]

DASHBOARD = Dashboard(
    uid="compose-agent-container",
    title="Container detail",
    description="Everything about one container: choose it above, or come from a table.",
    variables=CONTAINER_VARIABLES,
    marks=container_marks(CONTAINER),
    actions_shown=True,
    since="now-3h",
    rows=[
        Row(
            "State",
            [
                *_STANDING,
                _timeline(
                    "State", "What the Engine says of it.", "docker_container_state", "state", tuple(STATES)
                ),
                _timeline(
                    "Health",
                    "What its health check says. none: there is no check, or it does not run.",
                    "docker_container_health",
                    "status",
                    tuple(HEALTH),
                ),
            ],
        ),
        Row(
            "CPU and memory",
            [
                _lines(
                    "CPU and its limit",
                    "Cores used, in user mode and in the kernel, and the quota, dashed. Without a quota it "
                    "may use all.",
                    [
                        Query(_rate("docker_container_cpu_user_seconds_total"), "{{name}}: user"),
                        Query(_rate("docker_container_cpu_system_seconds_total"), "{{name}}: kernel"),
                        Query(_of("docker_container_cpu_limit_cores"), "{{name}}: limit"),
                    ],
                    "none",
                    dashed=".*: limit",
                ),
                _lines(
                    "Throttled",
                    "Share of the quota's periods in which it had to wait. Above a quarter it feels slow; a "
                    "higher quota or another replica helps.",
                    [
                        Query(
                            f"{_rate('docker_container_cpu_throttled_periods_total')}\n  / "
                            f"({_rate('docker_container_cpu_periods_total')} > 0)",
                            "{{name}}",
                        )
                    ],
                    "percentunit",
                    empty=_NO_LIMIT,
                ),
                _lines(
                    "Memory and its limit",
                    "The working set, against which the limit, dashed, is held; anonymous memory, which "
                    "cannot be given back, and file cache, which mostly can.",
                    [
                        Query(_of("docker_container_memory_working_set_bytes"), "{{name}}: working set"),
                        Query(_of("docker_container_memory_rss_bytes"), "{{name}}: anonymous"),
                        Query(_of("docker_container_memory_cache_bytes"), "{{name}}: file cache"),
                        Query(_of("docker_container_memory_limit_bytes"), "{{name}}: limit"),
                    ],
                    "bytes",
                    dashed=".*: limit",
                ),
                _lines(
                    "Processes and their limit",
                    "Processes and threads, and how many there may be, dashed. At the limit nothing new can "
                    "be started in it.",
                    [
                        Query(_of("docker_container_pids"), "{{name}}"),
                        Query(_of("docker_container_pids_limit"), "{{name}}: limit"),
                    ],
                    "none",
                    dashed=".*: limit",
                ),
            ],
        ),
        Row(
            "Network and disks",
            [
                _lines(
                    "Network traffic",
                    "Bytes received and sent in a second, by interface.",
                    [
                        Query(
                            _rate(f"docker_container_network_{way}_bytes_total", f"{IDENTITY}, interface"),
                            f"{{{{name}}}} {{{{interface}}}}: {word}",
                        )
                        for way, word in (("receive", "received"), ("transmit", "sent"))
                    ],
                    "Bps",
                    empty=NO_NETWORK,
                ),
                _lines(
                    "Network errors and drops",
                    "Packets in a second that were wrong or had no room. Anything lasting above 0 is worth "
                    "a look.",
                    [
                        Query(
                            _rate(f"docker_container_network_{way}_{what}_total"),
                            f"{{{{name}}}}: {way} {what}",
                        )
                        for way in ("receive", "transmit")
                        for what in ("errors", "dropped")
                    ],
                    "pps",
                    empty=NO_NETWORK,
                ),
                _lines(
                    "Disk traffic",
                    "Bytes read and written in a second, by device.",
                    [
                        Query(
                            _rate(f"docker_container_fs_{way}_bytes_total", f"{IDENTITY}, device"),
                            f"{{{{name}}}} {{{{device}}}}: {way}",
                        )
                        for way in ("read", "write")
                    ],
                    "Bps",
                    empty=NO_BLOCK_IO,
                ),
                _lines(
                    "Disk operations",
                    "Operations in a second, by device.",
                    [
                        Query(
                            _rate(f"docker_container_fs_{way}_total", f"{IDENTITY}, device"),
                            f"{{{{name}}}} {{{{device}}}}: {way}",
                        )
                        for way in ("reads", "writes")
                    ],
                    "iops",
                    empty=NO_BLOCK_IO,
                ),
            ],
        ),
        Row(
            "Where else to look",
            [
                Panel(
                    "Logs, actions, traces",
                    "Where the log of this container is, and what the agent did about it.",
                    "text",
                    width=24,
                    height=6,
                    text=_ELSEWHERE,
                )
            ],
        ),
    ],
)
