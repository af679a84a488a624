from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.dockerd.verbs.compose.cli import ComposeCli, ComposeFailed, command_of
from compose_agent.dockerd.verbs.compose.siblings import Service
from tests.dockerd.verbs.compose.samples import inspected, service

HOST = "unix:///engine.sock"
_LABEL = "com.docker.compose.project"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "compose.yml"
    path.touch()
    return path


def of_files(*paths: Path | str, **labels: str) -> Service:
    files = {f"{_LABEL}.config_files": ",".join(map(str, paths)), f"{_LABEL}.working_dir": "/srv"}
    more = {f"{_LABEL}.{key}": text for key, text in labels.items()}
    return service(inspected(1, labels=files | more))


def cli(folder: Path, script: str) -> ComposeCli:
    """Return a Compose that is this script of a shell."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return ComposeCli({"PATH": f"{folder}:/usr/bin:/bin"})


def test_the_command_is_the_one_with_which_the_project_was_started() -> None:
    found = of_files("/srv/a.yml", "/srv/b.yml", environment_file="/srv/.env")
    assert command_of(found) == [
        "docker", "compose", "--project-name", "shop", "--project-directory", "/srv",
        "--file", "/srv/a.yml", "--file", "/srv/b.yml", "--env-file", "/srv/.env",
    ]  # fmt: skip


def test_it_scales_one_service_and_touches_nothing_else(tmp_path: Path, file: Path) -> None:
    cli(tmp_path, f'echo "$DOCKER_HOST $*" >{tmp_path}/said').scale(of_files(file), 3, HOST)
    said = (tmp_path / "said").read_text()
    options = "up --detach --no-deps --no-recreate --no-build --pull never --scale web=3 web"
    assert said == (f"{HOST} compose --project-name shop --project-directory /srv --file {file} {options}\n")


def test_what_compose_says_about_its_failure_is_kept(tmp_path: Path, file: Path) -> None:
    failing = cli(tmp_path, "echo first >&2; echo no such image >&2; exit 1")
    with pytest.raises(ComposeFailed, match="'docker compose up' failed: first no such image"):
        failing.scale(of_files(file), 3, HOST)


@pytest.mark.parametrize(
    ("script", "obstacle"),
    [
        ("echo web h1", ""),
        ("echo web h2", "is not what its replicas were made from"),
        ("echo", "is not what its replicas were made from"),
        ("echo no such service >&2; exit 1", "'docker compose config' failed: no such service"),
    ],
)
def test_the_files_have_to_be_those_of_the_replicas(
    tmp_path: Path, file: Path, script: str, obstacle: str
) -> None:
    said = cli(tmp_path, script).obstacle(of_files(file), HOST)
    assert (obstacle in said) if obstacle else (said == "")


def test_without_a_program_or_files_there_is_no_compose(tmp_path: Path, file: Path) -> None:
    assert "no docker command" in ComposeCli({"PATH": str(tmp_path)}).obstacle(of_files(file), HOST)
    there = cli(tmp_path, "echo web h1")
    assert "/gone.yml is not to be had here" in there.obstacle(of_files(file, "/gone.yml"), HOST)
    assert "is unknown and is not to be had here" in there.obstacle(service(inspected(1)), HOST)
