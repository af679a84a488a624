"""The log forwarder: does every line arrive, and if not, where is it."""

from __future__ import annotations

from dashboards.source.model import Dashboard, Panel, Query, Row, Step, Variable
from dashboards.source.parts import (
    AMBER,
    FULL,
    GREEN,
    HOST,
    NONE_IS_CALM,
    NONE_IS_GOOD,
    RED,
    TO_CONTAINER,
    YES_IS_GOOD,
    host_variables,
)

_RATE = "[$__rate_interval]"
_SINK = f'{HOST}, sink=~"$sink"'
_LATENCY = f"sum by (le, sink) (rate(log_forwarder_delivery_latency_seconds_bucket{{{_SINK}}}{_RATE}))"
# Reasons that somebody has asked for in the configuration.
_WANTED = "sampled|excluded|no_match|rate_limited"
_NO_SINK = "no sink is configured (logs.sink), or nothing was written yet"


def _rate(metric: str, by: str = "instance, sink", more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{_SINK}{more}}}{_RATE}))"


def _lines(title: str, description: str, queries: list[Query], unit: str, *, empty: str = _NO_SINK) -> Panel:
    return Panel(title, description, queries=queries, unit=unit, may_be_empty=empty)


def _stat(title: str, description: str, expr: str, unit: str, steps: tuple[Step, ...] = ()) -> Panel:
    query = Query(f"({expr}) or vector(0)", instant=True)
    return Panel(
        title, description, "stat", [query], unit, width=4, height=5, steps=steps, colored_background=True
    )


_NOW = [
    Panel(
        "Sinks that take lines",
        "Whether the last attempt to deliver to each sink went well.",
        "stat",
        [Query(f"min by (instance, sink) (log_forwarder_sink_up{{{_SINK}}})", "{{sink}}", instant=True)],
        "none",
        width=8,
        height=5,
        words=YES_IS_GOOD,
        may_be_empty=_NO_SINK,
        colored_background=True,
    ),
    _stat(
        "Oldest line not read",
        "Age of the oldest line, over all containers and sinks, that is not read yet.",
        f"max(log_forwarder_lag_seconds{{{_SINK}}})",
        "s",
        (Step(None, GREEN), Step(60, AMBER), Step(300, RED)),
    ),
    _stat(
        "Lines given up, 1 h",
        "Lines that a sink will never take. They are in the file of dead letters, and can be sent again.",
        f"sum(increase(log_forwarder_dead_lettered_events_total{{{_SINK}}}[1h]))",
        "none",
        NONE_IS_CALM,
    ),
    _stat(
        "Lines lost, 1 h",
        "Times that Docker removed lines before they were read. Larger log files (max-size, max-file) give "
        "more time.",
        f"sum(increase(log_forwarder_gaps_total{{{_SINK}}}[1h]))",
        "none",
        NONE_IS_GOOD,
    ),
    _stat(
        "Spool used",
        "Share of the room for copies of files that Docker removed before every sink had them.",
        f"max(log_forwarder_spool_bytes{{{HOST}}} / (log_forwarder_spool_limit_bytes{{{HOST}}} > 0))",
        "percentunit",
        FULL,
    ),
]

DASHBOARD = Dashboard(
    uid="compose-agent-logs",
    title="Logs pipeline",
    description="From Docker's log files to the sinks: how much, how late, and what did not arrive.",
    variables=[
        *host_variables("log_forwarder_build_info"),
        Variable("sink", "Sink", f"label_values(log_forwarder_sink_up{{{HOST}}}, sink)", every=".+"),
    ],
    rows=[
        Row("Now", _NOW),
        Row(
            "How much",
            [
                _lines(
                    "Lines read and confirmed",
                    "Lines read in a second for each sink, and lines that it has confirmed. They keep step; "
                    "a gap that stays is what was left out or given up.",
                    [
                        Query(_rate("log_forwarder_read_events_total"), "{{sink}}: read"),
                        Query(_rate("log_forwarder_sent_events_total"), "{{sink}}: confirmed"),
                    ],
                    "cps",
                ),
                _lines(
                    "Requests to sinks",
                    "Requests or parcels sent in a second, and lines sent once more because the first time "
                    "was not confirmed.",
                    [
                        Query(_rate("log_forwarder_sink_requests_total"), "{{sink}}: requests"),
                        Query(_rate("log_forwarder_retried_events_total"), "{{sink}}: lines sent again"),
                    ],
                    "cps",
                ),
                Panel(
                    "Containers whose logs are followed",
                    "Running containers whose log files are read.",
                    queries=[
                        Query(f"sum by (instance) (log_forwarder_containers{{{HOST}}})", "{{instance}}")
                    ],
                    unit="none",
                    decimals=0,
                ),
                _lines(
                    "Held",
                    "Bytes of lines that are read and not yet confirmed, by sink. A sink that is away fills "
                    "this up to its limit, and reading waits.",
                    [Query(f"sum by (instance, sink) (log_forwarder_held_bytes{{{_SINK}}})", "{{sink}}")],
                    "bytes",
                ),
            ],
        ),
        Row(
            "How late",
            [
                _lines(
                    "From the container to the sink",
                    "Time from the moment Docker got a line to its confirmation by the sink: half, 95 and "
                    "99 of 100 lines.",
                    [
                        Query(
                            f"histogram_quantile({part}, {_LATENCY})",
                            f"{{{{sink}}}}: p{part * 100:g}",
                            exemplars=True,
                        )
                        for part in (0.5, 0.95, 0.99)
                    ],
                    "s",
                ),
                Panel(
                    "The ten containers that are read latest",
                    "Age of the oldest line of a container's log that is not read yet.",
                    queries=[
                        Query(
                            f"topk(10, max by (sink, name, id) (log_forwarder_lag_seconds{{{_SINK}}}))",
                            "{{name}} → {{sink}}",
                        )
                    ],
                    unit="s",
                    link=TO_CONTAINER,
                    may_be_empty=_NO_SINK,
                ),
                Panel(
                    "The ten containers with most to read",
                    "Bytes of a container's log that are not read yet.",
                    queries=[
                        Query(
                            f"topk(10, max by (sink, name, id) (log_forwarder_lag_bytes{{{_SINK}}}))",
                            "{{name}} → {{sink}}",
                        )
                    ],
                    unit="bytes",
                    link=TO_CONTAINER,
                    may_be_empty=_NO_SINK,
                ),
                Panel(
                    "The ten that wait longest for a confirmation",
                    "For how long the oldest line of a container that was sent has been waiting for the "
                    "sink to confirm it.",
                    queries=[
                        Query(
                            f"topk(10, max by (sink, name, id) "
                            f"(log_forwarder_oldest_unconfirmed_seconds{{{_SINK}}}))",
                            "{{name}} → {{sink}}",
                        )
                    ],
                    unit="s",
                    link=TO_CONTAINER,
                    may_be_empty=_NO_SINK,
                ),
            ],
        ),
        Row(
            "What did not arrive",
            [
                _lines(
                    "Deliveries that failed",
                    "Attempts in a second that failed, by sink and reason. They are made again until they "
                    "succeed.",
                    [
                        Query(
                            _rate("log_forwarder_sink_failures_total", "instance, sink, reason"),
                            "{{sink}}: {{reason}}",
                        )
                    ],
                    "cps",
                    empty="no delivery has failed since the forwarder was started",
                ),
                _lines(
                    "Left out as configured",
                    "Lines in a second that filters, samples and rates leave out, and those without a match "
                    "for a trigger.",
                    [
                        Query(
                            _rate(
                                "log_forwarder_dropped_events_total",
                                "instance, sink, reason",
                                f', reason=~"{_WANTED}"',
                            ),
                            "{{sink}}: {{reason}}",
                        )
                    ],
                    "cps",
                    empty="nothing is configured that leaves out lines",
                ),
                _lines(
                    "Left out against all wishes",
                    "Lines in a second that were dropped because a sink that is not required had no room, "
                    "or because they could not be made unreadable as configured.",
                    [
                        Query(
                            _rate(
                                "log_forwarder_dropped_events_total",
                                "instance, sink, reason",
                                f', reason!~"{_WANTED}"',
                            ),
                            "{{sink}}: {{reason}}",
                        )
                    ],
                    "cps",
                    empty="no such line was dropped since the forwarder was started",
                ),
                _lines(
                    "Given up",
                    "Lines in a second that a sink will never take; they are kept as dead letters.",
                    [Query(_rate("log_forwarder_dead_lettered_events_total"), "{{sink}}")],
                    "cps",
                ),
                _lines(
                    "Logs that could not be read",
                    "Bytes removed before they were read, and places that are no records, in a second.",
                    [
                        Query(_rate("log_forwarder_gap_bytes_total"), "{{sink}}: bytes removed"),
                        Query(_rate("log_forwarder_corrupt_records_total"), "{{sink}}: no records"),
                    ],
                    "cps",
                ),
                _lines(
                    "Made unreadable, and not understood",
                    "Places in lines that were made unreadable by a rule, and lines with which a transform "
                    "could do nothing, in a second.",
                    [
                        Query(
                            _rate("log_forwarder_redactions_total", "instance, sink, rule"),
                            "{{sink}}: {{rule}}",
                        ),
                        Query(
                            _rate("log_forwarder_transform_failures_total", "instance, sink, transform"),
                            "{{sink}}: {{transform}} failed",
                        ),
                    ],
                    "cps",
                    empty="no transform that redacts or parses is configured, or it had nothing to do",
                ),
            ],
        ),
        Row(
            "On disk",
            [
                Panel(
                    "Spool and its limit",
                    "Bytes of the copies of files that Docker removed before every sink had them, and the "
                    "most that they may take, dashed.",
                    queries=[
                        Query(f"log_forwarder_spool_bytes{{{HOST}}}", "{{instance}}"),
                        Query(f"log_forwarder_spool_limit_bytes{{{HOST}}}", "{{instance}}: limit"),
                    ],
                    unit="bytes",
                    width=8,
                    dashed=[".*: limit"],
                ),
                Panel(
                    "Copied into the spool",
                    "Bytes copied in a second. A little at each removal of a container is normal; much "
                    "means that a sink is too slow.",
                    queries=[
                        Query(
                            f"sum by (instance) "
                            f"(rate(log_forwarder_spool_rescued_bytes_total{{{HOST}}}{_RATE}))",
                            "{{instance}}",
                        )
                    ],
                    unit="Bps",
                    width=8,
                ),
                Panel(
                    "Dead letters",
                    "Size of the file of dead letters. compose-agent logs replay sends them again.",
                    queries=[
                        Query(
                            f"sum by (instance) (log_forwarder_dead_letters_bytes{{{HOST}}})", "{{instance}}"
                        )
                    ],
                    unit="bytes",
                    width=8,
                ),
            ],
        ),
    ],
)
