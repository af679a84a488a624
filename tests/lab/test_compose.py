"""Real Compose on the session's private Engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import LabError
from lab.compose import Project
from lab.engine import PrivateEngine

pytestmark = pytest.mark.engine


def test_a_project_is_that_of_compose_v2_and_leaves_nothing_behind(
    engine: PrivateEngine, busybox: str, tmp_path: Path
) -> None:
    model = {"services": {"web": {"image": busybox, "command": ["true"]}}}
    with Project(engine, tmp_path, "small", model) as project:
        assert project.compose("version", "--short").startswith("2.")
        project.compose("create")
        assert project.compose("ps", "--all", "--quiet").strip()
        assert project.compose("ps", "--all", "--quiet", by_file=False).strip()
    assert not project.compose("ps", "--all", "--quiet").strip()


def test_what_compose_says_about_a_failure_is_shown(engine: PrivateEngine, tmp_path: Path) -> None:
    project = Project(engine, tmp_path, "wrong", {"services": {"web": {"image": 1}}})
    with pytest.raises(LabError, match=r"docker compose ps failed: .*image"):
        project.compose("ps")
