"""Where a process takes its configuration from, so that it can take it again on a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_agent.config.layers import environment_layer, file_layer
from compose_agent.config.resolve import Config, Layer, resolve
from compose_agent.config.schema import Schema
from compose_agent.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The file, the environment and the command line's options.

    A ``file`` that is ``optional`` may be absent: it is the default place, not one that a user named.
    """

    schema: Schema
    environ: Mapping[str, str]
    flags: Layer
    file: Path
    optional: bool = False

    def load(self) -> Config:
        """Read every layer anew and return the configuration; ConfigError lists all that is wrong."""
        from_file, problems = self._from_file()
        from_environment, unknown = environment_layer(self.schema, self.environ)
        problems += unknown
        try:
            config = resolve(self.schema, [from_file, from_environment, self.flags])
        except ConfigError as error:
            raise ConfigError(problems + error.problems) from error
        if problems:
            raise ConfigError(problems)
        return config

    def _from_file(self) -> tuple[Layer, list[Problem]]:
        if self.optional and not self.file.exists():
            return {}, []
        return file_layer(self.schema, self.file)
