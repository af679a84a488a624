"""A forwarder on a real Engine, and what it has shipped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab.agent import Agent
from lab.engine import PrivateEngine


class Shipping:
    """``compose-agent forward`` from an Engine's folders into a file below ``folder``."""

    def __init__(self, engine: PrivateEngine, folder: Path, options: Sequence[str] = ()) -> None:
        self._out = folder / "out.ndjson"
        self.state_dir = folder / "state"
        chosen = [
            "--no-engine",
            f"--docker-root={engine.root / 'data'}",
            f"--state-dir={self.state_dir}",
            f"--sink=file://{self._out}",
            *options,
        ]
        self.agent = Agent(engine.host, chosen, command="forward", role="logs")

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what was shipped, in order; a line that is being written now is left out."""
        for path in sorted(self._out.parent.glob("out.ndjson.*"), reverse=True):
            yield from _lines(path)
        if self._out.exists():
            yield from _lines(self._out)

    def lines(self, container: str) -> list[str]:
        """Return the lines of one container, by name."""
        return [each["log"] for each in self.events() if each["container_name"] == f"/{container}"]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
