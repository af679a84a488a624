"""Where a process takes its configuration from, so that it can take it again on a reload."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_agent.config.composefile import load_compose_file
from compose_agent.config.layers import environment_layer, file_layer, node_layer
from compose_agent.config.remote import ALLOWING, RemoteStore, remote_layer, without_forbidden
from compose_agent.config.resolve import Config, Layer, default_value, read_value, resolve
from compose_agent.config.schema import Schema
from compose_agent.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The file, Compose files, the environment, the command line's options, and what a manager has set.

    A ``file`` that is ``optional`` may be absent: it is the default place, not one that a user named.
    Without ``remote`` nothing is set from afar.
    """

    schema: Schema
    environ: Mapping[str, str]
    flags: Layer
    file: Path
    optional: bool = False
    compose_files: tuple[Path, ...] = ()
    remote: RemoteStore | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that a change may come from."""
        return (self.file, *self.compose_files)

    def load(self) -> Config:
        """Read every layer anew and return the configuration; ConfigError lists all that is wrong."""
        from_files = [self._from_file(), *map(self._from_compose, self.compose_files)]
        from_environment, unknown = environment_layer(self.schema, self.environ)
        problems = [problem for _, found in from_files for problem in found] + unknown
        layers = [*(layer for layer, _ in from_files), from_environment, self.flags]
        try:
            config = self._with_remote(resolve(self.schema, layers), layers)
        except ConfigError as error:
            raise ConfigError(problems + error.problems) from error
        if problems:
            raise ConfigError(problems)
        return config

    def _with_remote(self, local: Config, layers: Sequence[Layer]) -> Config:
        """Return the host's own configuration with what a manager may set laid over it."""
        record = self.remote.read() if self.remote else None
        if record is None or record.in_force is None:
            return local
        allowed = self._allowed(local)
        layer, problems = remote_layer(self.schema, record.in_force, allowed)
        if record.trial is None:
            layer = without_forbidden(layer, allowed)
        elif problems:
            raise ConfigError(problems)
        return resolve(self.schema, [*layers, layer])

    def _allowed(self, local: Config) -> Collection[str]:
        option, given = self.schema.options[ALLOWING].option, local.given.get(ALLOWING)
        found = read_value(option, given.value) if given else default_value(option)
        assert isinstance(found, tuple)  # noqa: S101 - it takes several values
        return found

    def _from_file(self) -> tuple[Layer, list[Problem]]:
        if self.optional and not self.file.exists():
            return {}, []
        return file_layer(self.schema, self.file)

    def _from_compose(self, path: Path) -> tuple[Layer, list[Problem]]:
        options = load_compose_file(path).options
        return node_layer(self.schema, options, path) if options else ({}, [])
