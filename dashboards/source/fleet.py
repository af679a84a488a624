"""The nodes of a fleet, as their manager sees them, what they were asked to do, and the manager itself."""

from __future__ import annotations

from typing import Any

from dashboards.source.model import Column, Dashboard, Panel, Query, Row, Step, Variable
from dashboards.source.parts import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    HOST,
    NONE_IS_CALM,
    NONE_IS_GOOD,
    RED,
    counted,
    host_variables,
)

_RATE = "[$__rate_interval]"
_NODE = f'{HOST}, environment=~"$environment", node_id=~"$node"'
# With thousands of nodes a table of all of them helps nobody.
_MOST = 50
_NONE_YET = "nothing of the kind was asked for yet"
_STATES = {
    "online": GREEN,
    "late": AMBER,
    "offline": RED,
    "never seen": RED,
    "duplicate": AMBER,
    "disabled": GREY,
}


def _lines(
    title: str, description: str, queries: list[Query], unit: str = "none", *, empty: str = "", width: int = 8
) -> Panel:
    return Panel(title, description, queries=queries, unit=unit, width=width, may_be_empty=empty)


def _count(title: str, state: str, description: str, steps: tuple[Step, ...] = (), **more: Any) -> Panel:
    query = Query(f'sum(fleet_nodes{{{HOST}, state="{state}"}})', instant=True)
    return Panel(
        title, description, "stat", [query], "none", 4, 4, steps=steps, colored_background=True, **more
    )


def _in_five_minutes(metric: str, by: str) -> str:
    return f"sum by ({by}) ({counted(metric, HOST, '5m')})"


def _quantiles(metric: str, parts: tuple[float, ...], span: str) -> list[Query]:
    buckets = f"sum by (le) (rate({metric}_bucket{{{HOST}}}{span}))"
    return [Query(f"histogram_quantile({part}, {buckets})", f"p{part * 100:g}") for part in parts]


_NODE_COLUMNS = (Column("node_id", "Node"), Column("host", "Host"), Column("environment", "Environment"))
_NOT_ONLINE = Panel(
    "Nodes that are not online",
    f"At most {_MOST} of them. The page of the manager, and compose-agent node, say why and since when.",
    "table",
    [
        Query(
            f"topk({_MOST}, max by (node_id, host, environment, state) "
            f'(fleet_node_state{{{_NODE}, state!="online"}}))'
        )
    ],
    columns=[*_NODE_COLUMNS, Column("state", "State", colors=_STATES)],
    may_be_empty="all nodes are online",
)
_SILENT = Panel(
    "Nodes that are silent longest",
    f"When each node was last heard, the {_MOST} with the longest silence; not those that are disabled.",
    "table",
    [
        Query(
            f"topk({_MOST}, max by (node_id, host, environment) "
            f"(time() - fleet_node_last_heard_timestamp_seconds{{{_NODE}}}))"
        )
    ],
    columns=[*_NODE_COLUMNS, Column("Value", "Silent for", unit="s", width=140)],
    sort_by="Silent for",
)

DASHBOARD = Dashboard(
    uid="compose-agent-fleet",
    title="Fleet",
    description="The nodes of a fleet, what they were asked to do, and their manager.",
    variables=[
        *host_variables("fleet_nodes", "Manager"),
        Variable("environment", "Environment", f"label_values(fleet_node_up{{{HOST}}}, environment)"),
        Variable(
            "node", "Node", f'label_values(fleet_node_up{{{HOST}, environment=~"$environment"}}, node_id)'
        ),
    ],
    since="now-6h",
    rows=[
        Row(
            "Now",
            [
                _count("Online", "online", "Nodes whose agent is there and speaks in time."),
                _count(
                    "Late",
                    "late",
                    "Nodes whose last word is older than it should be, or whose connection broke.",
                    NONE_IS_CALM,
                ),
                _count("Offline", "offline", "Nodes whose agent is not there.", NONE_IS_GOOD),
                _count("Never seen", "never seen", "Nodes that should be there and are not.", NONE_IS_GOOD),
                _count("Duplicate", "duplicate", "Nodes with an id that several agents use.", NONE_IS_GOOD),
                _count(
                    "Disabled",
                    "disabled",
                    "Nodes that somebody switched off at the manager.",
                    (Step(None, BLUE),),
                ),
            ],
        ),
        Row(
            "Nodes",
            [
                _NOT_ONLINE,
                _SILENT,
                _lines(
                    "Nodes by state",
                    "How many nodes are in each state.",
                    [Query(f"sum by (state) (fleet_nodes{{{HOST}}})", "{{state}}")],
                    width=12,
                ),
                _lines(
                    "Changes of states",
                    "Changes in five minutes, by the state after. Many at once point to what lies between "
                    "the hosts and the manager.",
                    [
                        Query(
                            f"sum by (state) (increase(fleet_node_transitions_total{{{HOST}}}[5m]))",
                            "{{state}}",
                        )
                    ],
                    width=12,
                ),
            ],
        ),
        Row(
            "What was asked of them",
            [
                _lines(
                    "Commands by end",
                    "Commands that ended in five minutes, by verb and stage: done, failed, refused, expired.",
                    [Query(_in_five_minutes("fleet_commands_total", "verb, stage"), "{{verb}}: {{stage}}")],
                    empty=_NONE_YET,
                ),
                _lines(
                    "How long commands take",
                    "From a command to its end, of those that were done: half and 99 of 100 within the last "
                    "hour.",
                    _quantiles("fleet_command_seconds", (0.5, 0.99), "[1h]"),
                    "s",
                    empty=_NONE_YET,
                ),
                _lines(
                    "Commands that have not ended",
                    "Commands that wait for their host, or are under way there.",
                    [Query(f"sum by (instance) (fleet_commands_open{{{HOST}}})", "{{instance}}")],
                ),
                _lines(
                    "Roll-outs that have not ended",
                    "Changes of the configuration that are under way, by phase.",
                    [Query(f"sum by (phase) (fleet_rollouts_open{{{HOST}}})", "{{phase}}")],
                ),
                _lines(
                    "Roll-outs that have ended",
                    "Changes of the configuration that ended in five minutes: done, or reverted because "
                    "hosts fell ill.",
                    [Query(_in_five_minutes("fleet_rollouts_total", "phase"), "{{phase}}")],
                    empty=_NONE_YET,
                ),
                _lines(
                    "Alerts for the hosts",
                    "Alerts in five minutes, by what became of them on their way to a host.",
                    [Query(_in_five_minutes("fleet_alerts_total", "state"), "{{state}}")],
                    empty="no alert was handed in",
                ),
            ],
        ),
        Row(
            "The manager",
            [
                _lines(
                    "Messages",
                    "Messages of agents in a second, by transport.",
                    [
                        Query(
                            f"sum by (instance, transport) (rate(fleet_messages_total{{{HOST}}}{_RATE}))",
                            "{{instance}} {{transport}}",
                        )
                    ],
                    "cps",
                ),
                _lines(
                    "Time of a message",
                    "From a message to its answer: half and 99 of 100.",
                    _quantiles("fleet_message_seconds", (0.5, 0.99), _RATE),
                    "s",
                    empty="no message came",
                ),
                _lines(
                    "Lateness of its loop",
                    "By how much the loop that serves all agents was late: 99 of 100.",
                    _quantiles("fleet_loop_late_seconds", (0.99,), _RATE),
                    "s",
                ),
                _lines(
                    "Connections",
                    "Agents that are connected over WebSocket.",
                    [Query(f"fleet_connections{{{HOST}}}", "{{instance}}")],
                ),
                _lines(
                    "Turned away",
                    "Connections and messages in five minutes that were not taken, by reason.",
                    [
                        Query(
                            f"sum by (reason) (increase(fleet_connections_refused_total{{{HOST}}}[5m]))",
                            "connection: {{reason}}",
                        ),
                        Query(
                            f"sum by (reason) (increase(fleet_messages_refused_total{{{HOST}}}[5m]))",
                            "message: {{reason}}",
                        ),
                    ],
                ),
                _lines(
                    "Messages that are missing",
                    "Times in five minutes that messages of an agent were missing, and that one was asked "
                    "for its whole state.",
                    [
                        Query(
                            f"sum by (instance) (increase(fleet_sequence_gaps_total{{{HOST}}}[5m]))",
                            "{{instance}}: missing",
                        ),
                        Query(
                            f"sum by (instance) (increase(fleet_full_state_requests_total{{{HOST}}}[5m]))",
                            "{{instance}}: asked",
                        ),
                    ],
                ),
                _lines(
                    "Writes that failed",
                    "Times in five minutes that the state could not be written. It is kept in memory "
                    "meanwhile.",
                    [
                        Query(
                            f"sum by (instance) (increase(fleet_state_write_errors_total{{{HOST}}}[5m]))",
                            "{{instance}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)
