"""Projects of real Docker Compose v2 on a private Engine of any line.

::

    with Project(engine, folder, "shop", {"services": {"web": {"image": tag}}}) as shop:
        shop.compose("up", "-d", "--scale", "web=2")

Traps this module knows about:

- Compose is a plug-in, which the ``docker`` program looks for in DOCKER_CONFIG first: each project has a
  folder of its own for that.  The plug-in and the program of the newest line speak with older Engines, too.
- A container whose main process is a shell without a trap ignores SIGTERM, and ``down`` then takes 10 s.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import LabError
from lab.engine import PrivateEngine
from lab.lines import LINES, programs

# Ends at once when it is told to, and does next to nothing.
SLEEPER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
# A whole project goes up or down in seconds; on a busy machine it takes its time.
_TIMEOUT_S = 180


class Project:
    """A Compose project with its file in ``folder``; it is taken down, with its volumes, at the end."""

    def __init__(self, engine: PrivateEngine, folder: Path, name: str, model: Mapping[str, Any]) -> None:
        self.name = name
        self.file = folder / "compose.yml"
        self._environment = environment(engine, folder / "docker")
        self.write(model)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "2")

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which ``docker compose`` works on the Engine."""
        return self._environment

    def write(self, model: Mapping[str, Any]) -> None:
        """Write the project's file; YAML takes JSON as it is."""
        self.file.write_text(json.dumps(model, indent=2), encoding="utf-8")

    def compose(self, *words: str, by_file: bool = True) -> str:
        """Run ``docker compose`` and return what it printed; by the project's name alone without its file.

        Raises LabError with what it said when it fails.
        """
        done = self.start(*words, by_file=by_file)
        try:
            output, errors = done.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            done.kill()
            done.communicate()
            raise LabError(f"docker compose {' '.join(words)} did not end within {_TIMEOUT_S} s") from None
        if done.returncode != 0:
            raise LabError(f"docker compose {' '.join(words)} failed: {errors.strip()}")
        return output

    def start(self, *words: str, by_file: bool = True) -> subprocess.Popen[str]:
        """Start ``docker compose`` and return its process, with both outputs as pipes."""
        file = ["--file", str(self.file)] if by_file else []
        return subprocess.Popen(
            ["docker", "compose", "--project-name", self.name, *file, *words],
            env=self._environment,
            cwd=self.file.parent if by_file else "/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def environment(engine: PrivateEngine, folder: Path) -> dict[str, str]:
    """Return the variables for ``docker compose`` of the newest line; ``folder`` becomes DOCKER_CONFIG."""
    newest = programs(LINES[-1])
    folder.mkdir(exist_ok=True)
    plugins = folder / "cli-plugins"
    if newest.plugins is not None and not plugins.is_symlink():
        plugins.symlink_to(newest.plugins)
    return {
        **os.environ,
        **newest.environment(),
        "DOCKER_HOST": engine.host,
        "DOCKER_CONFIG": str(folder),
    }
