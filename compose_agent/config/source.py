"""Where a process takes its configuration from, so that it can take it again on a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_agent.config.composefile import load_compose_file
from compose_agent.config.layers import environment_layer, file_layer, node_layer
from compose_agent.config.resolve import Config, Layer, resolve
from compose_agent.config.schema import Schema
from compose_agent.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The file, Compose files, the environment and the command line's options.

    A ``file`` that is ``optional`` may be absent: it is the default place, not one that a user named.
    """

    schema: Schema
    environ: Mapping[str, str]
    flags: Layer
    file: Path
    optional: bool = False
    compose_files: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that a change may come from."""
        return (self.file, *self.compose_files)

    def load(self) -> Config:
        """Read every layer anew and return the configuration; ConfigError lists all that is wrong."""
        from_files = [self._from_file(), *map(self._from_compose, self.compose_files)]
        from_environment, unknown = environment_layer(self.schema, self.environ)
        problems = [problem for _, found in from_files for problem in found] + unknown
        layers = [layer for layer, _ in from_files]
        try:
            config = resolve(self.schema, [*layers, from_environment, self.flags])
        except ConfigError as error:
            raise ConfigError(problems + error.problems) from error
        if problems:
            raise ConfigError(problems)
        return config

    def _from_file(self) -> tuple[Layer, list[Problem]]:
        if self.optional and not self.file.exists():
            return {}, []
        return file_layer(self.schema, self.file)

    def _from_compose(self, path: Path) -> tuple[Layer, list[Problem]]:
        options = load_compose_file(path).options
        return node_layer(self.schema, options, path) if options else ({}, [])
