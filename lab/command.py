"""Programs that run to their end: they succeed, or a LabError says why not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import LabError

_SHOWN_LINES = 3


def run(
    command: Sequence[str],
    *,
    timeout: float,
    remedy: str = "",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program, with ``environment`` besides the present one; ``remedy`` is for one that is not there.

    Raises LabError, with the last lines it wrote, when it cannot be run, takes too long, or fails.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{command[0]} could not be run: {error}", remedy=remedy) from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise LabError(f"{' '.join(command[:2])} failed: {' '.join(said[-_SHOWN_LINES:])}")
