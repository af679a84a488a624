"""What a container asks for: which probes, how often, and when they count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from compose_agent.config import Option, kinds
from compose_agent.config.kinds import Detail, Kind
from remediation.triggers.labels import read_area

AREA = "probe"
_LARGEST_PORT = 65535
_MOST_IN_A_ROW = 1000
# A probe that is under way for longer than its period is late for the next one.
_LONGEST_TIMEOUT = 60.0

_port = kinds.whole_number(1, _LARGEST_PORT)
_in_a_row = kinds.whole_number(1, _MOST_IN_A_ROW)


class ProbeKind(StrEnum):
    """How a container is asked."""

    HTTP = "http"  # GET; 200 to 399 is well
    TCP = "tcp"  # a connection is well


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A path that a container is to answer on a port with 200 to 399."""

    port: int
    path: str


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """One probe; times are seconds. So many ``failures`` in a row make it ill, ``successes`` well again."""

    kind: ProbeKind
    port: int
    path: str = ""
    initial_delay: float = 30.0
    period: float = 10.0
    timeout: float = 1.0
    failures: int = 3
    successes: int = 1
    network: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.port}{self.path}"


def _http(text: str) -> HttpProbe:
    port, slash, rest = text.removeprefix(":").partition("/")
    path = f"/{rest}"
    if not slash or not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError(text)
    return HttpProbe(_port.parse(port), path)


def _no_exec(_: str) -> str:
    raise Detail("there are no exec probes: give the service a healthcheck, which the Engine runs")


def _timeout(text: str) -> float:
    seconds = kinds.parse_duration(text)
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise ValueError(text)
    return seconds


OPTIONS: tuple[Option, ...] = (
    Option(
        "probe.http",
        Kind("probe", "a port and a path such as 8080/healthz", _http),
        None,
        "Ask the container over HTTP: GET, without following redirects; 200 to 399 is well.",
    ),
    Option("probe.tcp", _port, None, "Open a connection to this port of the container."),
    Option("probe.exec", Kind("probe", "no exec probe", _no_exec), None, "Refused: use a healthcheck."),
    Option("probe.initial-delay", kinds.duration, "30s", "How long after its start it is first asked."),
    Option("probe.period", kinds.positive_duration, "10s", "How often it is asked."),
    Option(
        "probe.timeout",
        Kind("duration", "a duration up to 1m, such as 1s", _timeout),
        "1s",
        "How long it may take to answer, from the connection to the end of the headers.",
    ),
    Option("probe.failure-threshold", _in_a_row, "3", "How often in a row it has to fail to be ill."),
    Option("probe.success-threshold", _in_a_row, "1", "How often in a row it has to succeed to be well."),
    Option(
        "probe.network",
        kinds.string,
        None,
        "The network on which it is asked; unset: the first by name on which it has an address.",
    ),
)


def specs_of(labels: Mapping[str, str]) -> tuple[list[ProbeSpec], dict[str, str]]:
    """Return the probes that a container's labels ask for, and what is wrong with them, by key."""
    values, problems = read_area(labels, AREA, OPTIONS)
    if not values:
        return [], problems
    found = []
    if values["probe.http"]:
        http: HttpProbe = values["probe.http"]
        found.append(_spec(ProbeKind.HTTP, http.port, http.path, values))
    if values["probe.tcp"]:
        found.append(_spec(ProbeKind.TCP, values["probe.tcp"], "", values))
    return found, problems


def _spec(kind: ProbeKind, port: int, path: str, values: Mapping[str, Any]) -> ProbeSpec:
    return ProbeSpec(
        kind,
        port,
        path,
        values["probe.initial-delay"],
        values["probe.period"],
        values["probe.timeout"],
        values["probe.failure-threshold"],
        values["probe.success-threshold"],
        values["probe.network"] or "",
    )
