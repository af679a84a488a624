"""A revision of the configuration as it travels from the supervisor to a role: what was given, by key."""

from __future__ import annotations

import json

from compose_agent.config.resolve import Config, Given, resolve
from compose_agent.config.schema import Schema
from compose_agent.errors import ConfigError, Problem


def encode_revision(revision: int, config: Config) -> bytes:
    """Return one line of JSON: ``{"revision": 2, "given": {"log.level": ["debug", "file:3"]}}``."""
    given = {key: [each.value, each.where] for key, each in config.given.items()}
    return json.dumps({"revision": revision, "given": given}).encode() + b"\n"


def encode_refusal(error: ConfigError) -> bytes:
    """Return what tells a role that the newest configuration was refused, and why."""
    return json.dumps({"refused": str(error)}).encode() + b"\n"


def decode_revision(data: bytes, schema: Schema) -> tuple[int, Config]:
    """Return the revision in what :func:`encode_revision` made; raises ConfigError, also for a refusal."""
    try:
        raw = json.loads(data)
        if "refused" in raw:
            raise ConfigError(Problem("configuration", raw["refused"]))
        layer = {str(key): Given(value, str(where)) for key, (value, where) in raw["given"].items()}
        revision = int(raw["revision"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(Problem("configuration", f"is not a revision: {error}")) from error
    unknown = sorted(layer.keys() - schema.options.keys())
    if unknown:
        raise ConfigError([Problem(layer[key].where, f"unknown option '{key}'") for key in unknown])
    return revision, resolve(schema, [layer])
