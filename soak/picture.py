"""What the Engine says of its containers and what the exporter shows, in one shape to be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Facts = dict[str, str | float]
Picture = dict[str, Facts]

_ENDED = ("exited", "dead", "restarting")
_NEVER = "0001-01-01T00:00:00Z"
_CHOICES = {
    "docker_container_state": ("state", "state"),
    "docker_container_health": ("health", "status"),
}
_NUMBERS = {
    "docker_container_exit_code": "exit code",
    "docker_container_restarts_total": "restarts",
    "docker_container_memory_limit_bytes": "memory limit",
    "docker_container_cpu_limit_cores": "CPU limit",
}


def expected(inspected: Mapping[str, Any]) -> Facts:
    """Return the facts in an answer of inspect, read here anew and not by the product's own code."""
    state, host = inspected["State"], inspected["HostConfig"]
    facts: Facts = {
        "name": inspected["Name"].removeprefix("/"),
        "state": state["Status"],
        "health": ((state.get("Health") or {}).get("Status") or "none")
        if state["Status"] == "running"
        else "none",
        "restarts": float(inspected["RestartCount"]),
    }
    if state["Status"] in _ENDED and state["FinishedAt"] != _NEVER:
        facts["exit code"] = float(state["ExitCode"])
    if host["Memory"]:
        facts["memory limit"] = float(host["Memory"])
    if host["NanoCpus"]:
        facts["CPU limit"] = host["NanoCpus"] / 1e9
    elif host["CpuQuota"]:
        facts["CPU limit"] = host["CpuQuota"] / (host["CpuPeriod"] or 100_000)
    return facts


def shown(text: str) -> tuple[Picture, float]:
    """Return the facts by short id in an exposition, and docker_up."""
    picture: Picture = {}
    up = -1.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "docker_up":
                up = sample.value
            elif sample.name in _CHOICES and sample.value == 1:
                fact, label = _CHOICES[sample.name]
                _facts(picture, sample.labels)[fact] = sample.labels[label]
            elif sample.name in _NUMBERS:
                _facts(picture, sample.labels)[_NUMBERS[sample.name]] = sample.value
    return picture, up


def differences(engine: Picture, exporter: Picture) -> Iterator[str]:
    """Yield a sentence for each fact in which the exporter differs from the Engine."""
    for short_id in sorted(engine.keys() | exporter.keys()):
        is_, says = engine.get(short_id), exporter.get(short_id)
        if is_ is None or says is None:
            missing, facts = ("Engine", says) if is_ is None else ("exporter", is_)
            yield f"{short_id} is not in the {missing}: {facts}"
            continue
        for fact in sorted(is_.keys() | says.keys()):
            if is_.get(fact) != says.get(fact):
                told = f"{fact} is {_text(is_.get(fact))}, shown as {_text(says.get(fact))}"
                yield f"{is_['name']} {short_id}: {told}"


def _text(value: str | float | None) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def _facts(picture: Picture, labels: Mapping[str, str]) -> Facts:
    return picture.setdefault(labels["id"], {"name": labels["name"]})
