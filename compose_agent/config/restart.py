"""Options that a running program keeps: those that take effect only at its next start."""

from __future__ import annotations

from compose_agent.config.resolve import Config, resolve
from compose_agent.config.schema import Schema


def keep_until_restart(schema: Schema, before: Config, after: Config) -> tuple[Config, list[str]]:
    """Return ``after`` with the options that need a start as they were, and the keys of those that differ.

    A role that dies is started again with what this returns: its files are then still where the others look.
    """
    keys = [key for key, bound in schema.options.items() if bound.option.restart]
    held = [key for key in keys if _raw(before, key) != _raw(after, key)]
    given = {key: each for key, each in after.given.items() if key not in held}
    given.update((key, before.given[key]) for key in held if key in before.given)
    return resolve(schema, [given]), held


def _raw(config: Config, key: str) -> object:
    given = config.given.get(key)
    return given.value if given else None
