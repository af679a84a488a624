"""Tags of the forward protocol, made of what is known of a container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from compose_agent.config.kinds import Detail
from compose_agent.config.nearest import did_you_mean, nearest

DEFAULT_TAG = "docker.{compose_project}.{compose_service}"
# What log_forwarder.event.metadata() has.
FIELDS = (
    "compose_project",
    "compose_service",
    "compose_number",
    "container_name",
    "container_id",
    "image",
    "host",
)
_FIELD = re.compile(r"\{([^{}]*)\}")
# Routing rules match tags part by part, so a dot inside a name must not make a part; wildcards, braces,
# spaces and commas have meanings in <match …>, and file buffers use the tag in names of files.
_TROUBLE_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_TROUBLE_IN_TEMPLATE = re.compile(r"[^A-Za-z0-9_./:-]")


@dataclass(frozen=True, slots=True)
class TagTemplate:
    """A tag with fields in braces, part by part: ``docker.{compose_project}.{compose_service}``."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a template; Detail (a ValueError) says what is wrong with it."""
        for field in _FIELD.findall(text):
            if field not in FIELDS:
                raise Detail(f"there is no field '{field}'{did_you_mean(nearest(field, FIELDS))}")
        if wrong := _TROUBLE_IN_TEMPLATE.search(_FIELD.sub("", text)):
            raise Detail(f"'{wrong[0]}' cannot stand in a tag, expected such as {DEFAULT_TAG}")
        parts = tuple(text.split("."))
        if not all(parts):
            raise Detail(f"a tag has no empty part, expected such as {DEFAULT_TAG}, not '{text}'")
        return cls(parts)

    def render(self, known: Mapping[str, str]) -> str:
        """Return the tag of a container with this metadata.

        Parts whose fields are all unknown are left out; the first of them gives way to the container's name,
        so that containers without Compose do not share one tag.
        """
        name = _tame(known.get("container_name", ""))
        if any("{container_name}" in part for part in self.parts):
            name = ""
        rendered = []
        for part in self.parts:
            fields = _FIELD.findall(part)
            if not fields or any(known.get(field) for field in fields):
                rendered.append(_FIELD.sub(lambda found: _tame(known.get(found[1], "")), part))
            elif name:
                rendered.append(name)
                name = ""
        return ".".join(rendered) or "docker"


def _tame(name: str) -> str:
    return _TROUBLE_IN_NAMES.sub("_", name.removeprefix("/"))
