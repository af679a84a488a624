"""The files that an agent is to have, made of the versions of its layers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from fleet.manager.configs.merge import is_yaml, merged
from fleet.manager.configs.model import Version
from fleet.opamp.opamp_pb2 import AgentRemoteConfig

_YAML = "text/yaml"
# Each combination of versions that some agent has; far more than there are in a fleet.
_MOST_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Compiled:
    """A whole configuration: its files with media types, and as a message."""

    hash: bytes
    files: dict[str, tuple[str, str]]
    versions: tuple[int, ...]
    message: AgentRemoteConfig = field(compare=False, repr=False)


def compile_versions(versions: Sequence[Version]) -> Compiled:
    """Return what ``versions`` give together; those whose layer was taken away give nothing.

    The hash covers the versions as well: the same text pushed anew is a new configuration, which an agent
    that could not take it before tries again.
    """
    texts: dict[str, list[Version]] = {}
    for version in sorted(versions, key=lambda one: (one.key.scope.rank, str(one.key.scope))):
        if version.body is not None:
            texts.setdefault(version.key.name, []).append(version)
    files = {name: _file(name, given) for name, given in sorted(texts.items())}
    ids = tuple(sorted(one.id for given in texts.values() for one in given))
    digest = hashlib.sha256(msgspec.msgpack.encode([ids, list(files.items())])).digest()
    message = AgentRemoteConfig(config_hash=digest)
    message.config.SetInParent()
    for name, (body, kind) in files.items():
        file = message.config.config_map[name]
        file.body, file.content_type = body.encode(), kind
    return Compiled(digest, files, ids, message)


class Compiler:
    """Compiles each combination of versions once."""

    def __init__(self) -> None:
        self._kept: dict[frozenset[int], Compiled] = {}

    def __call__(self, versions: Sequence[Version]) -> Compiled:
        """Return what ``versions`` give together."""
        key = frozenset(one.id for one in versions)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            found = self._kept[key] = compile_versions(versions)
        return found


def _file(name: str, given: Sequence[Version]) -> tuple[str, str]:
    strongest = given[-1]
    bodies = [one.body for one in given if one.body is not None]
    body = merged(name, bodies) if is_yaml(name) else bodies[-1]
    return body, strongest.kind or (_YAML if is_yaml(name) else "")
