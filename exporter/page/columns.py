"""The table's columns: what they are called, how they sort, which address sorts by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from compose_agent.dockerd.overview import Order, View
from exporter.page.links import href


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``largest_first`` is what the first click on its heading gives."""

    key: str
    label: str
    css: str
    meaning: str
    largest_first: bool = False


COLUMNS = (
    Column("name", "Name", "name", "Name of the container."),
    Column("project", "Service", "service", "Compose service; sorting by it groups by project."),
    Column("state", "State", "state", "State, health and exit code; sorting puts first what needs a look."),
    Column("cpu", "CPU", "cpu", "CPU in use: 100 % is one core, as in docker stats. The bar is the share of "
           "the limit, or without one, in grey, of the whole host.", largest_first=True),
    Column("memory", "Memory", "memory", "Memory in use without inactive file cache, as in docker stats. The "
           "bar is the share of the limit, or without one, in grey, of the host's memory.",
           largest_first=True),
    Column("network", "Network", "network", "Received and sent over the container's own interfaces; a dash "
           "with the host's network.", largest_first=True),
    Column("block", "Disk", "disk", "Read from and written to block devices; a dash where the kernel does "
           "not count.", largest_first=True),
    Column("pids", "PIDs", "pids", "Processes and threads.", largest_first=True),
    Column("restarts", "Restarts", "restarts", "Restarts by the Engine under the restart policy.",
           largest_first=True),
    Column("uptime", "Uptime", "uptime", "How long it has been running, or how long ago it ended.",
           largest_first=True),
    Column("image", "Image", "image", "Image, as it was asked for."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading for one view; ``sorted`` is aria-sort's value, empty for the other columns."""

    label: str
    css: str
    meaning: str
    href: str
    sorted: str


def headings(view: View) -> list[Heading]:
    """Return the headings, each with the address that sorts by it, or turns the order round."""
    return [_heading(column, view) for column in COLUMNS]


def _heading(column: Column, view: View) -> Heading:
    order = view.order
    current = order.column == column.key
    descending = not order.descending if current else column.largest_first
    direction = ("descending" if order.descending else "ascending") if current else ""
    address = href(replace(view, order=Order(column.key, descending)))
    return Heading(column.label, column.css, column.meaning, address, direction)


def sort_choices(view: View) -> list[tuple[str, str]]:
    """Return value and label of each order that the form offers, the current one always among them."""
    found = dict(_choices())
    found.setdefault(str(view.order), str(view.order).lstrip("-"))
    return list(found.items())


def _choices() -> Iterator[tuple[str, str]]:
    for column in COLUMNS:
        yield (
            f"{'-' if column.largest_first else ''}{column.key}",
            "Project" if column.key == "project" else column.label,
        )
