"""All labels of containers, whoever reads them, and what is wrong with those that Compose files declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from compose_agent.config import Config, Given, Option, kinds
from compose_agent.config.composefile import LABEL_PREFIX, load_compose_file
from compose_agent.dockerd.model import Container
from compose_agent.errors import Problem
from compose_agent.labels import NAMED
from log_forwarder.selection import LOGS_LABEL
from log_forwarder.sinks.elasticsearch.encode import TAGS_LABEL
from log_forwarder.transforms import Counters, TransformSettings, make_pipeline
from log_forwarder.transforms.hints import LABEL_PREFIX as LOGS_PREFIX
from log_forwarder.transforms.hints import TRIGGER
from log_forwarder.transforms.registry import options as transform_options
from remediation.labels import LABELS, labels_of

_SHIPPED = Option(
    LOGS_LABEL.removeprefix(LABEL_PREFIX), kinds.boolean, None, "Whether the container's lines are shipped."
)
_TAGS = Option(
    TAGS_LABEL.removeprefix(LABEL_PREFIX), kinds.string, None, "Tags of its documents.", multiple=True
)
_TRIGGER = Option(
    f"{LOGS_PREFIX.removeprefix(LABEL_PREFIX)}{TRIGGER.rstrip('.')}{NAMED}",
    kinds.string,
    None,
    "Pattern of lines that the remediation role is told of; `none` takes one of the configuration away.",
)


def every_label() -> Iterator[Option]:
    """Yield every label there is, by its key without the prefix."""
    yield from LABELS
    yield from (_SHIPPED, _TAGS, _TRIGGER)
    for option in transform_options():
        yield replace(option, key=f"{LOGS_PREFIX.removeprefix(LABEL_PREFIX)}{option.key}")


def declared_problems(path: Path, config: Config) -> Iterator[Problem]:
    """Yield what is wrong with the labels that a Compose file's services declare, with file and line."""
    for service, labels in load_compose_file(path).services.items():
        texts = {label: str(given.value) for label, given in labels.items()}
        _, wrong = labels_of(texts)
        for key, what in wrong.items():
            yield Problem(labels[f"{LABEL_PREFIX}{key}"].where, f"{service}: {key}: {what}")
        yield from _of_logs(service, labels, texts, config)


def _of_logs(
    service: str, labels: Mapping[str, Given], texts: Mapping[str, str], config: Config
) -> Iterator[Problem]:
    if LOGS_LABEL in texts:
        try:
            kinds.boolean.read(texts[LOGS_LABEL])
        except ValueError as error:
            yield Problem(labels[LOGS_LABEL].where, f"{service}: logs: {error}")
    container = Container(id="", name=service, image="", image_id="", state="created", labels=texts)
    silent = Counters(_nothing, _nothing, _nothing)
    _, sentences = make_pipeline(config.of(TransformSettings), container, silent)
    for sentence in sentences:
        about = next((label for label in labels if f"label {label}:" in sentence), next(iter(labels)))
        yield Problem(labels[about].where, sentence)


def _nothing(count: int, name: str) -> None:
    """Count nothing."""
