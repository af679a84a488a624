"""What is wished for a service: by labels of its containers, or by a section of the policies file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from compose_agent.config import Option, kinds
from compose_agent.config.kinds import Kind, parse_duration, parse_size
from compose_agent.config.yamlfile import Node
from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage.service import ServiceKey
from compose_agent.labels import PREFIX
from remediation.arguments import MOST_REPLICAS
from remediation.policies.reading import Reading, values_of
from remediation.triggers.labels import read_area
from remediation.triggers.scaler.behaviour import DEFAULT, Behaviour, Direction, RateLimit, Select
from remediation.triggers.scaler.desired import TOLERANCE

AREA = "scale"
CPU, MEMORY = "cpu", "memory"
_WHOLE = 100.0
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
_RATE = re.compile(r"(\d{1,6})(%?)/([0-9a-z.]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Aim:
    """A number to be held; with ``percent``, of each replica's limit."""

    number: float
    percent: bool = False


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """A service, what is measured of it, and what it may come to.

    ``metric`` is ``cpu`` (cores of each replica), ``memory`` (bytes of each), or a PromQL expression with
    one value for the whole service.
    """

    project: str
    service: str
    metric: str
    aim: Aim
    least: int = 1
    most: int = 1
    tolerance: float = TOLERANCE
    behaviour: Behaviour = DEFAULT

    @property
    def is_query(self) -> bool:
        """Whether Prometheus is asked for the metric."""
        return self.metric not in {CPU, MEMORY}

    @property
    def target(self) -> float:
        """The number that the metric is held at."""
        return self.aim.number

    @property
    def missing_value(self) -> float:
        """What a replica that was not measured counts as when there are to be fewer: its limit or the aim."""
        return max(_WHOLE, self.target) if self.aim.percent else self.target

    @property
    def metric_word(self) -> str:
        """The metric in a sentence."""
        return "query" if self.is_query else self.metric

    def clamped(self, count: int) -> int:
        """Return the count, brought within the bounds."""
        return min(max(count, self.least), self.most)


def _aim(text: str) -> Aim:
    number = text.removesuffix("%")
    if _NUMBER.fullmatch(number):
        aim = Aim(float(number), percent=number != text)
    else:
        aim = Aim(float(parse_size(text)))
    if not aim.number:
        raise ValueError(text)
    return aim


def _rate(text: str) -> RateLimit:
    match = _RATE.fullmatch(text)
    seconds = parse_duration(match[3]) if match else 0.0
    if not match or not seconds or not int(match[1]):
        raise ValueError(text)
    return RateLimit(int(match[1]), seconds, percent=bool(match[2]))


def _share(text: str) -> float:
    if not text.endswith("%") or not _NUMBER.fullmatch(text[:-1]) or float(text[:-1]) >= _WHOLE:
        raise ValueError(text)
    return float(text[:-1]) / _WHOLE


_count = kinds.whole_number(1, MOST_REPLICAS)
_rates = Kind("rate", "a rate such as 4/15s or 100%/15s", _rate)
_select = kinds.choice(*Select)

OPTIONS: tuple[Option, ...] = (
    Option(
        "scale.metric",
        kinds.string,
        None,
        "What the number of replicas follows: `cpu`, `memory`, or a PromQL expression that gives one value.",
    ),
    Option(
        "scale.target",
        Kind("target", "a number above 0, a share such as 60%, or a size such as 256MiB", _aim),
        None,
        "What the metric is held at: a share of each replica's limit (of one core where it has none), cores, "
        "or bytes; for an expression, its value.",
    ),
    Option("scale.min", _count, None, "The fewest replicas that the service may be given."),
    Option("scale.max", _count, None, "The most replicas that the service may be given."),
    Option(
        "scale.tolerance",
        Kind("share", "a share below 100%, such as 10%", _share),
        f"{TOLERANCE:.0%}",
        "How far from the target the metric may be without consequence.",
    ),
    Option("scale.up-window", kinds.duration, "0s", "How long more replicas must be asked for."),
    Option("scale.down-window", kinds.duration, "5m", "How long fewer replicas must be asked for."),
    Option(
        "scale.up-rate", _rates, "4/15s, 100%/15s", "How many more there may be in a time.", multiple=True
    ),
    Option("scale.down-rate", _rates, "100%/15s", "How many fewer there may be in a time.", multiple=True),
    Option("scale.up-select", _select, "max", "Which of several rates counts; `disabled` for none."),
    Option("scale.down-select", _select, "max", "The same for fewer."),
)


def rules_of(containers: Iterable[Container]) -> tuple[dict[ServiceKey, ScaleRule], dict[str, str]]:
    """Return the rules that labels ask for, and sentences on those that cannot be used, by container.

    The youngest container of a service speaks for it: its labels are those of the last deployment.
    """
    rules: dict[ServiceKey, ScaleRule] = {}
    problems: dict[str, str] = {}
    for container in sorted(containers, key=lambda each: each.created_at or 0.0):
        if not container.compose_service or container.one_off:
            continue
        values, wrong = read_area(container.labels, AREA, OPTIONS)
        key = (container.compose_project, container.compose_service)
        rules.pop(key, None)
        if wrong:
            problems[container.name] = "; ".join(f"label {PREFIX}{each}: {wrong[each]}" for each in wrong)
        elif values.get("scale.metric"):  # min and max alone are for others
            try:
                rules[key] = _rule(key, values)
            except ValueError as error:
                problems[container.name] = f"labels {PREFIX}{AREA}.*: {error}"
    return rules, problems


# In a file the keys have no prefix, and the section has the name of the area.
FILE_OPTIONS = {
    option.key.removeprefix(f"{AREA}."): replace(option, key=option.key.removeprefix(f"{AREA}."))
    for option in OPTIONS
}


def read_rules(reading: Reading, node: Node | None) -> tuple[ScaleRule, ...]:
    """Return the rules of a section by ``project/service``; what is wrong is added to the problems."""
    entries = reading.named(node, AREA)
    found = [_read_rule(reading, name, each) for name, each in entries.entries.items()]
    return tuple(rule for rule in found if rule)


def _read_rule(reading: Reading, name: str, node: Node) -> ScaleRule | None:
    fields = reading.fields(node, f"{AREA}.{name}", FILE_OPTIONS)
    before = len(reading.problems)
    values = {f"{AREA}.{key}": value for key, value in values_of(fields, FILE_OPTIONS).items()}
    try:
        return _rule(_service(name), values)
    except ValueError as error:
        if len(reading.problems) == before:
            fields.problem("", f"{AREA}.{name}: {error}")
        return None


def _service(name: str) -> ServiceKey:
    project, _, service = name.partition("/")
    if not project or not service:
        raise ValueError("expected a service as project/service")
    return project, service


def _rule(key: ServiceKey, values: Mapping[str, Any]) -> ScaleRule:
    """Return the rule; ValueError says what does not fit together."""
    for each in ("metric", "target", "max"):
        if values[f"{AREA}.{each}"] is None:
            raise ValueError(f"{each} is missing: a rule has a metric, a target and a max")
    least, most, aim = values["scale.min"] or 1, values["scale.max"], values["scale.target"]
    if least > most:
        raise ValueError(f"min {least} is more than max {most}")
    rule = ScaleRule(*key, values["scale.metric"], aim, least, most, values["scale.tolerance"])
    if rule.is_query and aim.percent:
        raise ValueError("a share as target is for cpu and memory; an expression has a plain number")
    return replace(rule, behaviour=Behaviour(_way(values, "up"), _way(values, "down")))


def _way(values: Mapping[str, Any], way: str) -> Direction:
    return Direction(
        values[f"scale.{way}-window"], values[f"scale.{way}-rate"], Select(values[f"scale.{way}-select"])
    )
