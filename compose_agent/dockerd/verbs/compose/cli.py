"""The other way to scale: Docker Compose itself, where its program and the project's files are at hand.

Compose does what a clone cannot: it puts secrets and configs into new replicas and runs hooks. It is never
used behind a broker, which has no business with the files of projects.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_agent.dockerd.verbs.compose.siblings import Service
from compose_agent.errors import EngineRefused, EngineTimeout

_PROJECT = "com.docker.compose.project"
_FILES = f"{_PROJECT}.config_files"
_FOLDER = f"{_PROJECT}.working_dir"
_ENVIRONMENT_FILES = f"{_PROJECT}.environment_file"

# Loading a project reads a few files; more than this is a folder on a network that hangs.
LOAD_TIMEOUT_SECONDS = 30.0
# Compose waits for the stop timeout of each replica that it removes, all at the same time.
SCALE_TIMEOUT_SECONDS = 660.0
_SHOWN_LINES = 3


class ComposeFailed(EngineRefused):
    """Compose itself could not do it, and said why."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=0)


@dataclass(frozen=True, slots=True)
class ComposeCli:
    """``docker compose`` of this machine; ``environ`` is where it is looked for and runs in."""

    environ: Mapping[str, str] | None = None

    def obstacle(self, service: Service, host: str) -> str:
        """Return why Compose cannot scale this service from its files; empty when it can.

        It is asked for the hash of the service in the files as they are now: when the replicas have another,
        a new one would not be like them.
        """
        if shutil.which("docker", path=self._environ.get("PATH")) is None:
            return "there is no docker command here"
        missing = [path for path in files_of(service) if not Path(path).is_file()]
        if missing or not files_of(service):
            return f"its Compose file {', '.join(missing) or 'is unknown and'} is not to be had here"
        try:
            said = self._run(service, host, ["config", "--hash", service.name], LOAD_TIMEOUT_SECONDS)
        except (ComposeFailed, EngineTimeout) as error:
            return str(error)
        if said.split() != [service.name, service.replicas[0].config_hash]:
            return "its Compose file, or a variable in it, is not what its replicas were made from"
        return ""

    def scale(self, service: Service, to: int, host: str) -> None:
        """Have Compose scale; raises ComposeFailed, EngineTimeout.

        Without ``--no-deps`` every other service would be scaled back to its file, and without
        ``--no-recreate`` replicas would be made anew. Images are those that are there.
        """
        wish = ["--scale", f"{service.name}={to}", service.name]
        options = ["--detach", "--no-deps", "--no-recreate", "--no-build", "--pull", "never"]
        self._run(service, host, ["up", *options, *wish], SCALE_TIMEOUT_SECONDS)

    @property
    def _environ(self) -> Mapping[str, str]:
        return os.environ if self.environ is None else self.environ

    def _run(self, service: Service, host: str, words: Sequence[str], timeout: float) -> str:
        command = [*command_of(service), *words]
        environ = {**self._environ, "DOCKER_HOST": host}
        try:
            done = subprocess.run(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineTimeout(f"'docker compose {words[0]}' did not end within {timeout:g} s") from error
        except OSError as error:
            raise ComposeFailed(f"'docker compose {words[0]}' could not be run ({error})") from error
        if done.returncode != 0:
            said = " ".join(done.stderr.strip().splitlines()[-_SHOWN_LINES:])
            raise ComposeFailed(f"'docker compose {words[0]}' failed: {said}")
        return done.stdout


def command_of(service: Service) -> list[str]:
    """Return the command with which the project was started, up to its subcommand."""
    labels = service.replicas[0].container.labels
    command = ["docker", "compose", "--project-name", service.project]
    if folder := labels.get(_FOLDER):
        command += ["--project-directory", folder]
    for path in files_of(service):
        command += ["--file", path]
    for path in _paths(labels.get(_ENVIRONMENT_FILES)):
        command += ["--env-file", path]
    return command


def files_of(service: Service) -> list[str]:
    """Return the paths of the Compose files that the service was made from."""
    return _paths(service.replicas[0].container.labels.get(_FILES)) if service.replicas else []


def _paths(label: str | None) -> list[str]:
    return [path for path in (label or "").split(",") if path]
