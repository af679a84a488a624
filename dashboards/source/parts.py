"""What several dashboards share: variables, selectors of series, colours with their words, links."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.source.model import Mark, Step, Variable, Word

# A host is a target of Prometheus: job and instance. Both are variables of every dashboard.
HOST = 'job=~"$job", instance=~"$instance"'
# Containers outside Compose have empty labels, which ".*" lets through.
CONTAINER = f'{HOST}, compose_project=~"$project", compose_service=~"$service", name=~"$container"'
PROJECT = f'{HOST}, compose_project=~"$project"'
# What identifies a container, to keep in sums.
IDENTITY = "instance, name, id, compose_project, compose_service"
SERVICE = "instance, compose_project, compose_service"

GREEN, AMBER, RED, GREY, BLUE = "green", "orange", "red", "text", "blue"

# Good while nothing is counted; an increase between scrapes may come out a little less than one.
_ONE = 0.5
NONE_IS_GOOD = (Step(None, GREEN), Step(_ONE, RED))
NONE_IS_CALM = (Step(None, GREEN), Step(_ONE, AMBER))
# Of a limit.
FULL = (Step(None, GREEN), Step(0.8, AMBER), Step(0.9, RED))
YES_IS_GOOD = (Word(0, "no", RED), Word(1, "yes", GREEN))
YES_IS_BAD = (Word(0, "no", GREEN), Word(1, "yes", RED))

# The states of the Engine and of health checks, numbered for timelines, the worst highest.
STATES: Sequence[tuple[str, str]] = (
    ("created", GREY),
    ("running", GREEN),
    ("paused", BLUE),
    ("restarting", AMBER),
    ("removing", GREY),
    ("exited", RED),
    ("dead", RED),
)
HEALTH: Sequence[tuple[str, str]] = (
    ("none", GREY),
    ("starting", BLUE),
    ("healthy", GREEN),
    ("unhealthy", RED),
)
STATE_COLORS = dict(STATES)
HEALTH_COLORS = dict(HEALTH)


def words(named: Sequence[tuple[str, str]]) -> list[Word]:
    """Return what timelines show for the numbers of ``numbered``."""
    return [Word(number, name, color) for number, (name, color) in enumerate(named)]


def numbered(metric: str, label: str, named: Sequence[tuple[str, str]], selector: str) -> str:
    """Return a query that makes one number of a metric with a series 0 or 1 for each value of ``label``."""
    parts = [
        f'{number} * {metric}{{{selector}, {label}="{name}"}}'
        for number, (name, _) in enumerate(named)
        if number
    ]
    return f"sum by ({IDENTITY}) (\n  {chr(10).join(parts).replace(chr(10), chr(10) + '  or ')}\n)"


def counted(metric: str, selector: str, span: str) -> str:
    """Return a query for how often something rare has happened within a time.

    A counter whose labels appear with its first event begins at 1: ``increase`` alone would not see that.
    """
    series = f"{metric}{{{selector}}}"
    return f"(({series} unless {series} offset {span}) or increase({series}[{span}]))"


def host_variables(metric: str, shown: str = "Host") -> list[Variable]:
    """Return the variables job and instance, of the targets that have this metric."""
    return [
        Variable("job", "Job", f"label_values({metric}, job)", every=".+", hidden=True),
        Variable("instance", shown, f'label_values({metric}{{job=~"$job"}}, instance)', every=".+"),
    ]


PROJECT_VARIABLE = Variable(
    "project", "Project", f"label_values(docker_container_info{{{HOST}}}, compose_project)"
)
SERVICE_VARIABLE = Variable(
    "service",
    "Service",
    f'label_values(docker_container_info{{{HOST}, compose_project=~"$project"}}, compose_service)',
)
CONTAINER_VARIABLE = Variable(
    "container",
    "Container",
    f'label_values(docker_container_info{{{HOST}, compose_project=~"$project", '
    f'compose_service=~"$service"}}, name)',
)
EXPORTER_VARIABLES = host_variables("docker_up")
CONTAINER_VARIABLES = [*EXPORTER_VARIABLES, PROJECT_VARIABLE, SERVICE_VARIABLE, CONTAINER_VARIABLE]

# Not the job: every role of a host has its own.
_KEPT = "${datasource:queryparam}&${instance:queryparam}&${__url_time_range}"


def to(uid: str, more: str = "") -> str:
    """Return the address of another dashboard, for the same hosts and time."""
    return f"/d/{uid}?{_KEPT}" + (f"&{more}" if more else "")


# From a series, and from a row of a table.
TO_CONTAINER = to("compose-agent-container", "var-container=${__field.labels.name}")
ROW_TO_CONTAINER = to("compose-agent-container", "var-container=${__data.fields.Container}")
TO_PROJECT = to("compose-agent-project", "var-project=${__field.labels.compose_project}")
ROW_TO_PROJECT = to("compose-agent-project", "var-project=${__data.fields.Project}")


def container_marks(selector: str) -> list[Mark]:
    """Return the starts, ends and kills of containers."""
    return [
        Mark(
            "Starts",
            GREEN,
            f"docker_container_started_timestamp_seconds{{{selector}}} * 1000",
            "{{name}} started",
            "of {{compose_project}}/{{compose_service}}",
            by_value=True,
        ),
        Mark(
            "Ends",
            RED,
            f"docker_container_finished_timestamp_seconds{{{selector}}} * 1000",
            "{{name}} ended",
            "of {{compose_project}}/{{compose_service}}",
            by_value=True,
        ),
        Mark(
            "Killed for memory",
            "dark-red",
            f"increase(docker_container_oom_kills_total{{{selector}}}[1m]) > bool 0 == 1",
            "{{name}}: killed for lack of memory",
            "of {{compose_project}}/{{compose_service}}",
        ),
    ]
