"""What the agent did about alerts, how fast, what it did not do, and why."""

from __future__ import annotations

from typing import Any

from dashboards.source.model import Column, Dashboard, Panel, Query, Row, Step, Variable
from dashboards.source.parts import (
    AMBER,
    GREEN,
    HOST,
    NONE_IS_GOOD,
    RED,
    YES_IS_BAD,
    YES_IS_GOOD,
    counted,
    host_variables,
)

_RATE = "[$__rate_interval]"
_BROKER = 'job=~"$broker_job", instance=~"$instance"'
_NO_BROKER = "there is no broker, or Prometheus does not scrape it (broker.web.listen-address)"
_DONE, _NOT_DONE = f'{HOST}, result="done"', f'{HOST}, result!="done"'
_FRESH = "nothing of the kind has happened since the role was started"
_WAITS = "Its account is on the page of the remediation role, and in compose-agent why."


def _lines(
    title: str,
    description: str,
    queries: list[Query],
    unit: str = "none",
    *,
    empty: str = "",
    width: int = 12,
) -> Panel:
    return Panel(title, description, queries=queries, unit=unit, width=width, may_be_empty=empty)


def _in_five_minutes(metric: str, by: str, selector: str = HOST) -> str:
    return f"sum by ({by}) ({counted(metric, selector, '5m')})"


_DURATION = f"sum by (le, action) ({counted('remediation_action_duration_seconds_bucket', HOST, '1h')})"


def _quantiles(metric: str) -> list[Query]:
    buckets = f"sum by (le) (rate({metric}_bucket{{{HOST}}}[1h]))"
    return [
        Query(f"histogram_quantile({part}, {buckets})", f"p{part * 100:g}", exemplars=True)
        for part in (0.5, 0.95, 0.99)
    ]


def _stat(title: str, description: str, expr: str, steps: tuple[Step, ...] = (), **more: Any) -> Panel:
    # A sum over all hosts has no name.
    query = Query(expr, "" if expr.startswith("sum(") else "{{instance}}", instant=True)
    return Panel(
        title, description, "stat", [query], "none", 4, 4, steps=steps, colored_background=True, **more
    )


_BREAKERS = Panel(
    "Breakers that have seen a failure",
    "A breaker opens after several actions that did not help, and later lets one trial pass (half_open). "
    + _WAITS,
    "table",
    [Query(f"max by (instance, policy, target, state) (remediation_breaker_state{{{HOST}}} == 1)")],
    height=8,
    columns=[
        Column("policy", "Policy"),
        Column("target", "Target"),
        Column("state", "Breaker", colors={"closed": GREEN, "half_open": AMBER, "open": RED}),
        Column("instance", "Host"),
    ],
    may_be_empty="no action has failed to help",
)

DASHBOARD = Dashboard(
    uid="compose-agent-remediation",
    title="Remediation",
    description="What was done about alerts, how fast, what was not done, and why.",
    variables=[
        *host_variables("remediation_build_info"),
        Variable(
            "broker_job", "Broker's job", "label_values(broker_build_info, job)", every=".+", hidden=True
        ),
    ],
    actions_shown=True,
    since="now-6h",
    rows=[
        Row(
            "Now",
            [
                _stat(
                    "Frozen",
                    "Whether all remediation is frozen, by hand or because too much was to be done.",
                    f"remediation_frozen{{{HOST}}}",
                    words=YES_IS_BAD,
                ),
                _stat(
                    "Journal can be written",
                    "Whether the last transaction went to disk. no: alerts are answered 503, and nothing is "
                    "done.",
                    f"remediation_journal_writable{{{HOST}}}",
                    words=YES_IS_GOOD,
                ),
                _stat(
                    "Breakers open",
                    "Targets for which nothing is done any more for a while, because nothing helped.",
                    f'sum by (instance) (remediation_breaker_state{{{HOST}, state="open"}}) or 0 * '
                    f"remediation_frozen{{{HOST}}}",
                    steps=NONE_IS_GOOD,
                ),
                _stat(
                    "Not decided yet",
                    "Signals on disk about which nothing is decided. It is back to 0 within a second.",
                    f"remediation_inbox_signals{{{HOST}}}",
                    steps=(Step(None, GREEN), Step(10, AMBER), Step(100, RED)),
                ),
                _stat(
                    "Done, 24 h",
                    "Actions that were done in the last day.",
                    f"sum({counted('remediation_actions_total', _DONE, '24h')}) or vector(0)",
                ),
                _stat(
                    "Failed, 24 h",
                    "Actions in the last day that failed, were refused, or of which nobody can tell.",
                    f"sum({counted('remediation_actions_total', _NOT_DONE, '24h')}) or vector(0)",
                    steps=NONE_IS_GOOD,
                ),
            ],
        ),
        Row(
            "What was done",
            [
                _lines(
                    "Actions by result",
                    "Actions that ended in five minutes, by kind and result.",
                    [
                        Query(
                            _in_five_minutes("remediation_actions_total", "action, result"),
                            "{{action}}: {{result}}",
                        )
                    ],
                    empty=_FRESH,
                ),
                _lines(
                    "Not done, or not yet",
                    "Times in five minutes that a rule objected, by rule. What waits is asked about again, "
                    "and counts each time that "
                    "the reason changes. " + _WAITS,
                    [Query(_in_five_minutes("remediation_decisions_total", "reason"), "{{reason}}")],
                    empty=_FRESH,
                ),
                _lines(
                    "Under way",
                    "Actions that have not ended, by state. planned waits for a rule to let it pass, "
                    "verifying for the target to be well.",
                    [Query(f"sum by (state) (remediation_intents{{{HOST}}})", "{{state}}")],
                ),
                _BREAKERS,
            ],
        ),
        Row(
            "How fast",
            [
                _lines(
                    "From alert to action",
                    "From the start of an alert, as Prometheus says, to its first action: half, 95 and 99 "
                    "of 100 within the last hour. Prometheus' intervals and Alertmanager's waits are in it.",
                    _quantiles("remediation_alert_to_action_seconds"),
                    "s",
                    empty=_FRESH,
                ),
                _lines(
                    "From receipt to action",
                    "From the receipt of an alert to its first action: the agent's own share.",
                    _quantiles("remediation_receipt_to_action_seconds"),
                    "s",
                    empty=_FRESH,
                ),
                _lines(
                    "From request to disk",
                    "Until the alerts of a request are on disk and it is answered. A slow disk shows here "
                    "first.",
                    _quantiles("remediation_acknowledgement_seconds"),
                    "s",
                    empty=_FRESH,
                ),
                _lines(
                    "How long actions take",
                    "From the beginning of an action to its outcome, by action: half and 99 of 100 within "
                    "the last hour.",
                    [
                        Query(
                            f"histogram_quantile({part}, {_DURATION})",
                            f"{{{{action}}}}: p{part * 100:g}",
                            exemplars=True,
                        )
                        for part in (0.5, 0.99)
                    ],
                    "s",
                    empty=_FRESH,
                ),
                _lines(
                    "Last look for work",
                    "Seconds since the engine last looked for something to do; it does so four times a "
                    "second.",
                    [
                        Query(
                            f"time() - remediation_engine_heartbeat_timestamp_seconds{{{HOST}}}",
                            "{{instance}}",
                        )
                    ],
                    "s",
                ),
            ],
        ),
        Row(
            "What came in",
            [
                _lines(
                    "Requests with alerts",
                    "Requests in five minutes, by source, refused ones too.",
                    [Query(_in_five_minutes("remediation_requests_total", "source"), "{{source}}")],
                    empty=_FRESH,
                    width=8,
                ),
                _lines(
                    "Alerts and triggers",
                    "Signals put on disk in five minutes, by source, firing and resolved.",
                    [
                        Query(
                            _in_five_minutes("remediation_signals_total", "source, status"),
                            "{{source}} {{status}}",
                        )
                    ],
                    empty=_FRESH,
                    width=8,
                ),
                _lines(
                    "Requests refused",
                    "Requests in five minutes that were not taken, by reason; and alerts that Alertmanager "
                    "left out.",
                    [
                        Query(
                            _in_five_minutes("remediation_refused_requests_total", "source, reason"),
                            "{{source}}: {{reason}}",
                        ),
                        Query(
                            _in_five_minutes("remediation_truncated_alerts_total", "instance"),
                            "{{instance}}: left out",
                        ),
                    ],
                    width=8,
                ),
            ],
        ),
        Row(
            "Budgets and the journal",
            [
                _lines(
                    "Left of the budgets",
                    "Actions that the budgets of all policies together still allow. At 0 everything waits.",
                    [Query(f"remediation_budget_remaining{{{HOST}}}", "{{instance}} {{budget}}")],
                ),
                _lines(
                    "Transactions of the journal",
                    "Transactions in a second that are on disk.",
                    [
                        Query(
                            f"sum by (instance) (rate(remediation_journal_commits_total{{{HOST}}}{_RATE}))",
                            "{{instance}}",
                        )
                    ],
                    "cps",
                ),
            ],
        ),
        Row(
            "The broker",
            [
                _lines(
                    "Questions to the Engine through the broker",
                    "Requests on the list in a second, by route and status.",
                    [
                        Query(
                            f"sum by (route, status) (rate(broker_requests_total{{{_BROKER}}}{_RATE}))",
                            "{{route}} {{status}}",
                        )
                    ],
                    "reqps",
                    empty=_NO_BROKER,
                ),
                _lines(
                    "Verbs",
                    "Answers in five minutes to requests for an action, by verb and result.",
                    [
                        Query(
                            _in_five_minutes("broker_verbs_total", "verb, result", _BROKER),
                            "{{verb}}: {{result}}",
                        )
                    ],
                    empty=_NO_BROKER + "; or nothing was asked for",
                ),
                _lines(
                    "Refused by the broker",
                    "Requests in five minutes that are not on the list, by reason. Nobody of this bundle "
                    "makes any.",
                    [
                        Query(
                            _in_five_minutes("broker_refusals_total", "socket, reason", _BROKER),
                            "{{socket}}: {{reason}}",
                        )
                    ],
                    empty=_NO_BROKER + "; or nothing was refused",
                ),
                _lines(
                    "Answers without an end",
                    "Streams of events, logs and stats that are open.",
                    [Query(f"broker_streams{{{_BROKER}}}", "{{instance}}")],
                    empty=_NO_BROKER,
                ),
            ],
            collapsed=True,
        ),
    ],
)
