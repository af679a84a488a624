"""The API against its own document: a generator asks every operation for what may and may not be asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.manager.serving import HandAgent, serving

# Some hundred requests; a machine under full load takes many times the ten seconds of an idle one.
_SECONDS = 600
_EXAMPLES = "15"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path


def test_every_answer_is_what_the_document_says(folder: Path) -> None:
    with serving(folder / "state", expect="absent") as manager:
        HandAgent(manager, "web-1", host_name="h1", interval=3600.0).say(described=True)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{manager.url}/api/v1/openapi.json"),
                *("--checks=all", f"--max-examples={_EXAMPLES}", "--no-color"),
                *("--generation-deterministic", "--warnings=off"),
            ],
            cwd=folder,
            env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert manager.nodes()["web-1"]["state"] == "online"
