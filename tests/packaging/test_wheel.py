"""The wheel, installed in an environment of its own, runs without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.agent import Agent

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = ["pip", "wheel", "-q", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(_ROOT)]
    subprocess.run([sys.executable, "-m", *command], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install what the lock names, then the wheel, and return the installed command."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(_ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    return folder / "bin/compose-agent"


def test_the_wheel_has_the_product_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "broker",
        "compose_agent",
        "exporter",
        "fleet",
        "log_forwarder",
        "remediation",
    }
    assert "compose_agent/shipped_files/alerts/remediation.yml" in names
    assert any(name.endswith(".html") for name in names), "the page's templates"
    assert any(name.endswith(".css") for name in names), "the page's style"


def test_check_runs(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "compose-agent.yml"
    file.write_text("exporter:\n  colector:\n    host: false\n")
    done = subprocess.run(
        [str(program), "check", f"--config.file={file}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert f"{file}:2" in done.stderr
    assert "did you mean 'exporter.collector'" in done.stderr


def test_check_finds_the_policies_that_come_with_it(program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(program), "check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.defpath},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_export_serves_metrics_and_the_page(program: Path, tmp_path: Path) -> None:
    environ = {"PYTHONPATH": "", "PATH": os.defpath}
    with Agent(f"unix://{tmp_path}/no.sock", program=[str(program)], environ=environ) as agent:
        assert "docker_up 0" in agent.get("/metrics")
        assert "<html" in agent.get("/")
