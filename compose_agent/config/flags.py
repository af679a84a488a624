"""Command-line flags, generated from the same definitions as everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from compose_agent.config.kinds import boolean
from compose_agent.config.options import Bound, Option
from compose_agent.config.resolve import Given, Layer
from compose_agent.config.schema import Schema


def flags(schema: Schema, short: str = "") -> Iterator[click.Option]:
    """Yield a click option for each option of the schema.

    ``short`` names the section whose options go without their prefix: ``--web.listen-address`` of a command
    that runs one role, where ``run`` takes ``--exporter.web.listen-address``. Values stay text. With
    :func:`long_forms` such a command takes the prefixed names as well.
    """
    for key, bound in schema.options.items():
        yield _flag(key, bound, key.removeprefix(f"{short}.") if short else key)


def long_forms(short: str) -> dict[str, Any]:
    """Return the click context settings by which ``--exporter.web.x`` is taken for ``--web.x``."""

    def without_prefix(name: str) -> str:
        negated = name.startswith("no-")
        bare = name.removeprefix("no-").removeprefix(f"{short}.")
        return _negated(bare) if negated else bare

    return {"token_normalize_func": without_prefix}


def flag_names(name: str, option: Option) -> list[str]:
    """Return the flags of an option: one, and for a switch its twin that begins with ``--no-``."""
    return [f"--{name}", f"--{_negated(name)}"] if option.kind is boolean else [f"--{name}"]


def _flag(key: str, bound: Bound, name: str) -> click.Option:
    option = bound.option
    is_switch = option.kind is boolean
    shown = f"  [default: {option.default}]" if option.default else ""
    return click.Option(
        ["/".join(flag_names(name, option)), _parameter(key)],
        default=None,
        multiple=option.multiple,
        type=None if is_switch else str,
        help=option.help + shown,
        metavar=None if is_switch else option.kind.name.upper().replace(" ", "_"),
    )


def _negated(name: str) -> str:
    """Return ``no-collector.host`` for ``collector.host``, as the Prometheus exporters have it."""
    return f"no-{name}"


def _parameter(key: str) -> str:
    return "option_" + key.replace(".", "__").replace("-", "_")


def flag_layer(schema: Schema, parameters: Mapping[str, Any], short: str = "") -> Layer:
    """Return what was given on the command line; ``parameters`` are click's."""
    layer: dict[str, Given] = {}
    for key in schema.options:
        value = parameters.get(_parameter(key))
        if value is not None and value != ():
            name = key.removeprefix(f"{short}.") if short else key
            layer[key] = _given(value, name)
    return layer


def _given(value: Any, name: str) -> Given:
    if isinstance(value, bool):
        return Given(str(value).lower(), f"--{name if value else _negated(name)}", named=True)
    return Given(list(value) if isinstance(value, tuple) else value, f"--{name}", named=True)
