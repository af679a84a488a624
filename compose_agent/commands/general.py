"""The options that all roles share, for commands that need no others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from compose_agent.config import ConfigSource, Given, Layer, Schema, Section, kinds
from compose_agent.config.general import GeneralSettings
from compose_agent.config.layers import environment_layer, file_layer
from compose_agent.config.remote import RemoteStore
from compose_agent.config.resolve import resolve
from compose_agent.errors import ConfigError, Problem

DEFAULT_FILE = Path("/etc/compose-agent/compose-agent.yml")
GENERAL = Section("", GeneralSettings, "General")


def config_source(schema: Schema, given: Layer) -> ConfigSource:
    """Return where this process takes its configuration from; ``given`` is the command line's layer."""
    named = _named_file(schema, given)
    compose = _compose_files(schema, given)
    if named is None:
        return ConfigSource(schema, os.environ, given, DEFAULT_FILE, optional=True, compose_files=compose)
    return ConfigSource(schema, os.environ, given, _file_of(named), compose_files=compose)


def with_remote(source: ConfigSource, given: Layer) -> ConfigSource:
    """Return the source with what a manager has set, which is kept in the state directory."""
    return replace(source, remote=RemoteStore(general_settings(given).state_dir()))


def general_settings(given: Layer) -> GeneralSettings:
    """Return the shared options alone, with whatever else is configured unread.

    For what is asked every few seconds, as a health check is: what is wrong with other options the roles
    themselves have said, and to know those takes as long as to start one.
    """
    schema = Schema([GENERAL])
    named = _named_file(schema, given)
    file = _file_of(named) if named else DEFAULT_FILE
    from_file = file_layer(schema, file)[0] if file.exists() else {}
    from_environment, _ = environment_layer(schema, os.environ)
    return resolve(schema, [from_file, from_environment, given]).of(GeneralSettings)


def _named_file(schema: Schema, given: Layer) -> Given | None:
    environment, _ = environment_layer(schema, os.environ)
    return given.get("config.file") or environment.get("config.file")


def _compose_files(schema: Schema, given: Layer) -> tuple[Path, ...]:
    environment, _ = environment_layer(schema, os.environ)
    alone = Schema([GENERAL])
    named = {key: value for key, value in {**environment, **given}.items() if key == "compose-file"}
    return resolve(alone, [named]).of(GeneralSettings).compose_files


def _file_of(named: Given) -> Path:
    try:
        path = kinds.path.read(named.value)
    except ValueError as error:
        raise ConfigError(Problem(named.where, str(error))) from error
    if not path.exists():
        raise ConfigError(Problem(named.where, f"there is no file {path}"))
    return path
