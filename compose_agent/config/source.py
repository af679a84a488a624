"""Where a process takes its configuration from, so that it can take it again on a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_agent.config.layers import environment_layer, file_layer
from compose_agent.config.resolve import Config, Layer, resolve
from compose_agent.config.schema import Schema


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The file (if any), the environment and the command line's options.

    ``file`` that is ``optional`` may be absent: it is the default place, not one that a user named.
    """

    schema: Schema
    environ: Mapping[str, str]
    flags: Layer
    file: Path | None = None
    optional: bool = False

    def load(self) -> Config:
        """Read every layer anew and return the configuration; raises ConfigError."""
        layers: list[Layer] = []
        if self.file and not (self.optional and not self.file.exists()):
            layers.append(file_layer(self.schema, self.file))
        layers += [environment_layer(self.schema, self.environ), self.flags]
        return resolve(self.schema, layers)
