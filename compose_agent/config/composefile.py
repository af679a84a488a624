"""The fields ``x-compose-agent`` of a Compose file: options at top level, labels in each service.

Only these fields, the services' names and the project's are read; all else is Compose's own business, its
tags ``!reset`` and ``!override`` among it. Variables are not replaced: a field says what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from compose_agent.config.resolve import Given
from compose_agent.config.yamlfile import Node, parse, read
from compose_agent.errors import ConfigError, Problem

EXTENSION = "x-compose-agent"
LABEL_PREFIX = "compose-agent."
# What Compose would replace before it looks at the name.
_VARIABLE = "$"


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """What one file says to the agent.

    ``project`` is the name that it gives itself, or else its folder's. ``options`` is the field at top level,
    None without it. ``services`` has for each service the labels of its field by their whole names.
    """

    path: Path
    project: str
    options: Node | None = None
    services: Mapping[str, Mapping[str, Given]] = field(default_factory=dict)

    def labels_of(self, service: str) -> dict[str, str]:
        """Return a service's labels, as they would stand on its containers."""
        return {label: str(given.value) for label, given in self.services.get(service, {}).items()}


class _Loader(yaml.SafeLoader):
    """Knows Compose's own tags."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, node: node.value)


def load_compose_file(path: Path) -> ComposeFile:
    """Return what the file says to the agent; ConfigError names the line of what is wrong with it."""
    root = parse(read(path), str(path), _Loader)
    if not isinstance(root.value, dict):
        raise ConfigError(Problem(f"{path}:{root.line}", "expected a Compose file"))
    options = root.value.get(EXTENSION)
    return ComposeFile(
        path,
        _project(root.value.get("name"), path),
        options if options and options.value is not None else None,
        dict(_services(root.value.get("services"), path)),
    )


def _project(name: Node | None, path: Path) -> str:
    if name is not None and name.text and _VARIABLE not in name.text:
        return name.text
    return path.resolve().parent.name.lower()


def _services(node: Node | None, path: Path) -> Iterator[tuple[str, dict[str, Given]]]:
    for name, service in (node.value if node and isinstance(node.value, dict) else {}).items():
        extension = service.value.get(EXTENSION) if isinstance(service.value, dict) else None
        if extension is None or extension.value is None:
            continue
        if not isinstance(extension.value, dict):
            raise ConfigError(Problem(f"{path}:{extension.line}", "expected a mapping of labels"))
        yield name, dict(_labels(LABEL_PREFIX.rstrip("."), extension, path))


def _labels(prefix: str, node: Node, path: Path) -> Iterator[tuple[str, Given]]:
    """Yield what stands below ``node``, with keys nested or dotted, as labels."""
    where = f"{path}:{node.line}"
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from _labels(f"{prefix}.{key}", child, path)
    elif isinstance(node.value, list):
        yield prefix, Given(",".join(child.text or "" for child in node.value), where)
    elif node.text is not None:
        yield prefix, Given(node.text, where)
