"""Transforms: what is done with a container's lines between reading and delivery.

All are off by default. Configuration chooses for all containers, labels ``compose-agent.logs.KEY`` for one.
"""

from __future__ import annotations

from compose_agent.dockerd.model import Container
from log_forwarder.transforms.contract import Counters, Transform, TransformKind, Unusable, Values
from log_forwarder.transforms.hints import hints_of, name_of
from log_forwarder.transforms.pipeline import Pipeline, Step
from log_forwarder.transforms.registry import options, registered
from log_forwarder.transforms.settings import TransformSettings

__all__ = ["Counters", "Pipeline", "TransformSettings", "make_pipeline", "problems_of"]


def make_pipeline(
    settings: TransformSettings, container: Container, counters: Counters
) -> tuple[Pipeline, list[str]]:
    """Return the transforms of a container, and a sentence for each of its labels that cannot be used.

    Such a label is ignored: what the configuration says counts then.
    """
    hints, problems = hints_of(container, {each.key: each for each in options()})
    steps: list[Step] = []
    for kind in registered():
        transform, problem = _made(kind, settings.values, hints, counters)
        if problem:
            problems.append(f"{name_of(container)}: {problem}")
        if transform is not None:
            steps.append(Step(kind.name, transform, kind.protects))
    return Pipeline(steps, counters), problems


def problems_of(settings: TransformSettings) -> list[str]:
    """Return a sentence for each transform that cannot be made of what the configuration says."""
    silent = Counters(_ignore, _ignore, _ignore)
    found = (_made(kind, settings.values, {}, silent)[1] for kind in registered())
    return [problem for problem in found if problem]


def _made(
    kind: TransformKind, configured: Values, hints: Values, counters: Counters
) -> tuple[Transform | None, str]:
    values = {each.key: configured.get(each.key) for each in kind.keys}
    hinted = {key: hints[key] for key in values if key in hints}
    try:
        return kind.make({**values, **hinted}, counters), ""
    except Unusable as error:
        without = _made(kind, configured, {}, counters)[0] if hinted else None
        return without, str(error)


def _ignore(count: int, name: str) -> None:
    """Count nothing."""
