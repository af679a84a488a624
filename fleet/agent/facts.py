"""What this host is, from its Engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from compose_agent.errors import EngineError

# The Engine's own words for an architecture, and those of the conventions.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm32"}


@dataclass(frozen=True, slots=True)
class Facts:
    """The host as its Engine knows it; texts are empty and numbers 0 when unknown."""

    engine_id: str = ""
    name: str = ""
    system: str = ""
    architecture: str = ""
    engine_version: str = ""
    processors: int = 0
    memory_bytes: int = 0


class Engine(Protocol):
    """The part of the client that is needed here."""

    def info(self) -> dict[str, Any]:
        """Return ``GET /info``; raises EngineError."""


class FactsReader:
    """Asks the Engine until it has answered once; a host does not become another one while it runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._facts = Facts()
        self.error = ""

    def read(self) -> Facts:
        """Return the facts, or none while the Engine is away."""
        if not self._facts.engine_id:
            try:
                self._facts = facts_of(self._engine.info())
                self.error = ""
            except EngineError as error:
                self.error = str(error)
        return self._facts


def facts_of(info: dict[str, Any]) -> Facts:
    """Return the facts in an answer to ``GET /info`` of the Engine API."""
    machine = str(info.get("Architecture") or "")
    return Facts(
        engine_id=str(info.get("ID") or ""),
        name=str(info.get("Name") or ""),
        system=str(info.get("OperatingSystem") or ""),
        architecture=_ARCHITECTURES.get(machine, machine),
        engine_version=str(info.get("ServerVersion") or ""),
        processors=int(info.get("NCPU") or 0),
        memory_bytes=int(info.get("MemTotal") or 0),
    )
