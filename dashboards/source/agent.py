"""What all this costs, and whether its own parts are well."""

from __future__ import annotations

from dashboards.source.model import Column, Dashboard, Panel, Query, Row, Step, Variable
from dashboards.source.parts import GREEN, RED, YES_IS_GOOD

_RATE = "[$__rate_interval]"
_BUILD = "docker_exporter_build_info|log_forwarder_build_info|remediation_build_info|broker_build_info"
# Not called job: what is chosen here would follow to dashboards of other jobs.
_TARGET = 'job=~"$part", instance=~"$instance"'
_SERVER = 'job=~"$part"'
# Compose's project name of the bundle, as in its file.
_BUNDLE = 'compose_project=~"$bundle", compose_service!=""'
_NO_BUNDLE = "the bundle does not run as a Compose project of this name on these hosts"
_NO_ALERTMANAGER = "Prometheus does not scrape Alertmanager"
_NO_PROMETHEUS = "Prometheus does not scrape itself"


def _lines(
    title: str, description: str, queries: list[Query], unit: str, *, empty: str = "", width: int = 8
) -> Panel:
    return Panel(title, description, queries=queries, unit=unit, width=width, may_be_empty=empty)


def _process(metric: str) -> str:
    return f"{metric}{{{_TARGET}}}"


_ROLES = ("docker_exporter", "log_forwarder", "remediation", "broker")
_CONFIGURATIONS = "\n  or ".join(f"{role}_config_last_reload_successful{{{_TARGET}}}" for role in _ROLES)
_NO_TRACES = "no role traces anything (tracing.enabled), or nothing was done yet"


def _spans(what: str, by: str = "job, instance") -> str:
    """Return a query for the spans of all roles in a second."""
    return "\n  or ".join(
        f"sum by ({by}) (rate({role}_tracing_spans_{what}_total{{{_TARGET}}}{_RATE}))" for role in _ROLES
    )


_SPOOLED = "\n  or ".join(f"{role}_tracing_spans_spooled{{{_TARGET}}}" for role in _ROLES)
_TARGETS = Panel(
    "Targets",
    "What Prometheus scrapes: whether it answers, how long it takes, and how many samples it gives.",
    "table",
    [
        Query(f"up{{{_TARGET}}}"),
        Query(f"scrape_duration_seconds{{{_TARGET}}}"),
        Query(f"scrape_samples_scraped{{{_TARGET}}}"),
        Query(f"sum by (job, instance) (scrape_series_added{{{_TARGET}}})"),
    ],
    width=14,
    height=8,
    columns=[
        Column("job", "Job"),
        Column("instance", "Host"),
        Column("Value #A", "Answers", words=YES_IS_GOOD, width=90),
        Column("Value #B", "Takes", unit="s", width=100),
        Column("Value #C", "Samples", unit="short", width=100),
        Column("Value #D", "New series", unit="short", width=110),
    ],
)
_VERSIONS = Panel(
    "Versions",
    "The version of each role, and the Python it runs on.",
    "table",
    [
        Query(
            f'label_replace({{__name__=~"{_BUILD}", {_TARGET}}}, "role", "$1", "__name__", "(.+)_build_info")'
        )
    ],
    width=10,
    height=8,
    columns=[
        Column("role", "Role"),
        Column("instance", "Host"),
        Column("version", "Version"),
        Column("python", "Python"),
    ],
)

DASHBOARD = Dashboard(
    uid="compose-agent-agent",
    title="Agent itself",
    description="What the agent and its Prometheus cost, and whether they are well.",
    variables=[
        Variable("part", "Job", "label_values(up, job)", every=".+"),
        Variable("instance", "Host", 'label_values(up{job=~"$part"}, instance)', every=".+"),
        Variable(
            "bundle",
            "Bundle's project",
            'label_values(docker_container_info{compose_service!=""}, compose_project)',
            every=".+",
        ),
    ],
    since="now-6h",
    rows=[
        Row("Parts", [_TARGETS, _VERSIONS]),
        Row(
            "What it costs",
            [
                _lines(
                    "CPU by role",
                    "Cores used by each process that Prometheus scrapes.",
                    [Query(f"rate(process_cpu_seconds_total{{{_TARGET}}}{_RATE})", "{{job}} {{instance}}")],
                    "none",
                ),
                _lines(
                    "Memory by role",
                    "Resident memory of each process that Prometheus scrapes.",
                    [Query(_process("process_resident_memory_bytes"), "{{job}} {{instance}}")],
                    "bytes",
                ),
                _lines(
                    "Open files, of those allowed",
                    "Share of the file descriptors that a process may have. The exporter keeps ten for each "
                    "running container.",
                    [
                        Query(
                            f"{_process('process_open_fds')}\n  / ({_process('process_max_fds')} > 0)",
                            "{{job}} {{instance}}",
                        )
                    ],
                    "percentunit",
                ),
                _lines(
                    "CPU of the bundle's containers",
                    "Cores used by each service of the chosen project: choose the bundle's.",
                    [
                        Query(
                            f"sum by (compose_service) "
                            f"(rate(docker_container_cpu_usage_seconds_total{{{_BUNDLE}}}{_RATE}))",
                            "{{compose_service}}",
                        )
                    ],
                    "none",
                    empty=_NO_BUNDLE,
                    width=12,
                ),
                _lines(
                    "Memory of the bundle's containers",
                    "Working set of each service of the chosen project.",
                    [
                        Query(
                            f"sum by (compose_service) "
                            f"(docker_container_memory_working_set_bytes{{{_BUNDLE}}})",
                            "{{compose_service}}",
                        )
                    ],
                    "bytes",
                    empty=_NO_BUNDLE,
                    width=12,
                ),
            ],
        ),
        Row(
            "Scrapes of the exporter",
            [
                _lines(
                    "Time of a scrape",
                    "Time that the exporter took for its last scrape, up to the last line.",
                    [Query(f"docker_exporter_scrape_duration_seconds{{{_TARGET}}}", "{{instance}}")],
                    "s",
                ),
                _lines(
                    "Time by collector",
                    "Time of each collector in the last scrape; usage is the reading of files or of the "
                    "stats API.",
                    [
                        Query(
                            f"docker_exporter_collector_duration_seconds{{{_TARGET}}}",
                            "{{instance}} {{collector}}",
                        )
                    ],
                    "s",
                ),
                _lines(
                    "Collectors that gave everything",
                    "Share of the collectors that gave everything they should.",
                    [
                        Query(
                            f"avg by (instance) (docker_exporter_collector_success{{{_TARGET}}})",
                            "{{instance}}",
                        )
                    ],
                    "percentunit",
                ),
            ],
        ),
        Row(
            "Configuration",
            [
                _lines(
                    "Last change was taken",
                    "Whether each role took the last change of its configuration (1), or goes on with the "
                    "one before (0).",
                    [Query(_CONFIGURATIONS, "{{job}} {{instance}}")],
                    "none",
                    width=12,
                ),
                Panel(
                    "Web configuration in force",
                    "Whether the web configuration file, with its users and certificates, is in force as it "
                    "is now.",
                    "stat",
                    [
                        Query(
                            f"docker_exporter_web_config_last_reload_successful{{{_TARGET}}}",
                            "{{instance}}",
                            instant=True,
                        )
                    ],
                    "none",
                    width=12,
                    words=YES_IS_GOOD,
                ),
            ],
        ),
        Row(
            "Traces",
            [
                _lines(
                    "Spans made and delivered",
                    "Spans that were over in a second, and those that the collector has confirmed.",
                    [
                        Query(_spans("created"), "{{job}} {{instance}}: made"),
                        Query(_spans("exported"), "{{job}} {{instance}}: delivered"),
                    ],
                    "cps",
                    empty=_NO_TRACES,
                ),
                _lines(
                    "Spans that wait",
                    "Spans on disk that the collector does not have yet. Without a collector they stay "
                    "there, for why.",
                    [Query(_SPOOLED, "{{job}} {{instance}}")],
                    "none",
                    empty=_NO_TRACES,
                ),
                _lines(
                    "Spans dropped",
                    "Spans in a second that no collector will have, by reason.",
                    [Query(_spans("dropped", "job, instance, reason"), "{{job}} {{instance}}: {{reason}}")],
                    "cps",
                    empty="no span was dropped",
                ),
            ],
        ),
        Row(
            "Prometheus and Alertmanager",
            [
                _lines(
                    "Series",
                    "Series that Prometheus has in memory.",
                    [Query(f"prometheus_tsdb_head_series{{{_SERVER}}}", "{{instance}}")],
                    "short",
                    empty=_NO_PROMETHEUS,
                ),
                _lines(
                    "Samples",
                    "Samples that Prometheus takes in a second.",
                    [
                        Query(
                            f"sum by (instance) "
                            f"(rate(prometheus_tsdb_head_samples_appended_total{{{_SERVER}}}{_RATE}))",
                            "{{instance}}",
                        )
                    ],
                    "cps",
                    empty=_NO_PROMETHEUS,
                ),
                _lines(
                    "Disk in a day",
                    "Bytes that a day of samples takes, by what the samples of finished blocks took.",
                    [
                        Query(
                            f"sum by (instance) "
                            f"(rate(prometheus_tsdb_head_samples_appended_total{{{_SERVER}}}[1h])) * "
                            f"86400\n"
                            f"  * sum by (instance) "
                            f"(rate(prometheus_tsdb_compaction_chunk_size_bytes_sum{{{_SERVER}}}[1d]))\n"
                            f"  / (sum by (instance) "
                            f"(rate(prometheus_tsdb_compaction_chunk_samples_sum{{{_SERVER}}}[1d])) > 0)",
                            "{{instance}}",
                        )
                    ],
                    "bytes",
                    empty="Prometheus finishes its first block after two hours or more; " + _NO_PROMETHEUS,
                ),
                _lines(
                    "Disk used by Prometheus",
                    "Bytes of finished blocks on disk.",
                    [Query(f"prometheus_tsdb_storage_blocks_bytes{{{_SERVER}}}", "{{instance}}")],
                    "bytes",
                    empty=_NO_PROMETHEUS,
                ),
                _lines(
                    "Notifications of Alertmanager",
                    "Notifications in five minutes, and those that failed, by kind of receiver.",
                    [
                        Query(
                            f"sum by (integration) "
                            f"(increase(alertmanager_notifications_total{{{_SERVER}}}[5m])) > 0",
                            "{{integration}}",
                        ),
                        Query(
                            f"sum by (integration) "
                            f"(increase(alertmanager_notifications_failed_total{{{_SERVER}}}[5m])) > 0",
                            "{{integration}}: failed",
                        ),
                    ],
                    "none",
                    empty=_NO_ALERTMANAGER + ", or it had nothing to send",
                ),
                Panel(
                    "Rules that fail",
                    "Evaluations of rules in the last hour that failed.",
                    "stat",
                    [
                        Query(
                            f"sum(increase(prometheus_rule_evaluation_failures_total{{{_SERVER}}}[1h]))",
                            instant=True,
                        )
                    ],
                    "none",
                    width=8,
                    height=8,
                    steps=(Step(None, GREEN), Step(1, RED)),
                    may_be_empty=_NO_PROMETHEUS,
                ),
            ],
        ),
    ],
)
