"""docker-compose.yml as Compose itself reads it: without .env, without an Engine, with every profile."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.lines import programs

ROOT = Path(__file__).resolve().parents[2]
OURS = "custom/compose-agent:latest"
_CONFIG_SECONDS = 60


def config(
    folder: Path, files: Sequence[str] = ("docker-compose.yml",), variables: Mapping[str, str] | None = None
) -> Any:
    """Return what ``docker compose config`` makes of the files; AssertionError with what it said."""
    done = compose(folder, "config", "--format", "json", files=files, variables=variables)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "no warning about a variable that is not set"
    return json.loads(done.stdout)


def compose(
    folder: Path, *words: str, files: Sequence[str], variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``docker compose`` with every profile, with an Engine that is not there; ``folder`` is scratch."""
    command = ["compose", *(f"--file={ROOT / file}" for file in files), "--profile=*", *words]
    return docker(folder, *command, variables=variables)


def docker(
    folder: Path, *words: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the ``docker`` program of the newest line, with an Engine that is not there."""
    newest = programs("28")
    plugins = folder / "cli-plugins"
    if newest.plugins is not None and not plugins.is_symlink():
        plugins.symlink_to(newest.plugins)
    environment = {
        **newest.environment(),
        "HOME": str(folder),
        "DOCKER_CONFIG": str(folder),
        "DOCKER_HOST": f"unix://{folder}/no.sock",
        **(variables or {}),
    }
    return subprocess.run(
        ["docker", *words],
        env={"PATH": os.defpath, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_CONFIG_SECONDS,
        check=False,
    )
