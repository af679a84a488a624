"""The text of a scrape: Prometheus text format 0.0.4 and OpenMetrics 1.0.

Formats ask that the lines of a family stand together, while values come container by container. So each
container has one prepared template for a collector, with a mark between families; what it gives is cut at
the marks and laid out family by family. Templates are made anew only when the container, or the set of its
interfaces and devices, changes; values are never kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from compose_agent.dockerd.model import Container
from exporter.families import CONTAINER_LABELS, Family, Number, OwnLabels, Values

# Between the families of a container; escaped label values cannot contain it.
_MARK = "\x00"
# Compose names and container names are short; what is longer than this is no name, and would stand on each
# of some 45 series. The id keeps two cut names apart.
MAX_NAME_CHARACTERS = 200
# Labels of docker_container_info come from images and people.
MAX_LABEL_CHARACTERS = 1024

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", _MARK: "\N{REPLACEMENT CHARACTER}"})

# Their text is what the formats ask for; that of a boolean is not.
_PLAIN = frozenset((int, float))

Shape = tuple[bool | tuple[OwnLabels, ...] | None, ...]


def cut(value: str, longest: int = MAX_NAME_CHARACTERS) -> str:
    """Return a text of at most ``longest`` characters, with a sign that it was longer."""
    return value if len(value) <= longest else value[: longest - 1] + "…"


def escape(value: str, longest: int = MAX_LABEL_CHARACTERS) -> str:
    """Return a label value as it stands between quotes, cut to ``longest`` characters, always valid UTF-8."""
    value = cut(value, longest).translate(_ESCAPES)
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def label_text(pairs: Iterable[tuple[str, str]]) -> str:
    """Return ``name="value",…`` for already escaped values."""
    return ",".join(f'{name}="{value}"' for name, value in pairs)


def container_label_text(container: Container) -> str:
    """Return the labels that every series of a container carries."""
    values = (container.name, container.short_id, container.compose_project, container.compose_service)
    return label_text(
        (name, escape(value, MAX_NAME_CHARACTERS))
        for name, value in zip(CONTAINER_LABELS, values, strict=True)
    )


@lru_cache(maxsize=1024)
def header(family: Family, *, openmetrics: bool) -> str:
    """Return the HELP and TYPE lines of a family."""
    name = family.base if openmetrics else family.name
    kind = "gauge" if family.type == "info" and not openmetrics else family.type
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def shape_of(values: Values) -> Shape:
    """Return which series ``values`` have: None for no series, True for one, or the own labels of several."""
    return tuple([None if v is None else True if isinstance(v, int | float) else tuple(v) for v in values])


def template(families: Sequence[Family], shape: Shape, labels: str) -> str:
    """Return the ``%`` template for values of ``shape``, a mark between families."""
    return _MARK.join(
        _lines(family, each, labels).replace("%", "%%").replace(_MARK, "%s")
        for family, each in zip(families, shape, strict=True)
    )


def _lines(family: Family, shape: bool | tuple[OwnLabels, ...] | None, labels: str) -> str:
    """Return a family's lines with a mark in the place of each value."""
    if shape is None:
        return ""
    if isinstance(shape, bool):
        braces = f"{{{labels}}}" if labels else ""
        return f"{family.name}{braces} {_MARK}\n"
    return "".join(
        f"{family.name}{{{','.join(filter(None, (labels, _own_labels(family, own))))}}} {_MARK}\n"
        for own in shape
    )


def _own_labels(family: Family, own: OwnLabels) -> str:
    values: tuple[Any, ...] = (own,) if isinstance(own, str) else own
    pairs = zip(family.labels, values, strict=True) if family.labels else values
    return label_text((name, escape(value)) for name, value in pairs)


def numbers(values: Values) -> list[Number]:
    """Return the values that exist, in the order of the template."""
    flat: list[Number] = []
    for value in values:
        if isinstance(value, Mapping):
            flat.extend(value.values())
        elif value is not None:
            flat.append(value)
    return flat if _PLAIN.issuperset(map(type, flat)) else [_plain(value) for value in flat]


def _plain(value: Any) -> Number:
    """Return what a collector of another package may have taken for a number, such as a boolean, as one."""
    if not isinstance(value, int | float):
        raise TypeError(f"expected a number, not {value!r}")
    return int(value) if isinstance(value, int) else float(value)


def render(families: Sequence[Family], values: Values, labels: str = "") -> Sequence[str]:
    """Return the text of each family, made at once, for values that are rendered seldom."""
    text = template(families, shape_of(values), labels) % tuple(numbers(values))
    return text.split(_MARK)


@dataclass(slots=True)
class Prepared:
    """A template of one container and one collector, with the shape it is for."""

    families: Sequence[Family]
    labels: str
    shape: Shape | None = None
    text: str = ""

    def render(self, values: Values) -> list[str]:
        """Return the text of each family; the template is made anew if the shape changed."""
        shape = shape_of(values)
        if shape != self.shape:
            self.text = template(self.families, shape, self.labels)
            self.shape = shape
        return (self.text % tuple(numbers(values))).split(_MARK)


def layout(families: Sequence[Family], rows: Sequence[Sequence[str]], *, openmetrics: bool) -> Iterable[str]:
    """Yield the text of families one after the other from rows that hold a text for each of them."""
    if not rows:
        return
    for family, column in zip(families, zip(*rows, strict=True), strict=True):
        if any(column):
            yield header(family, openmetrics=openmetrics)
            yield from column


def created_line(family: Family, labels: str, created: float) -> str:
    """Return the OpenMetrics ``_created`` line of a counter; ``created`` is Unix time."""
    return f"{family.base}_created{{{labels}}} {created}\n"
