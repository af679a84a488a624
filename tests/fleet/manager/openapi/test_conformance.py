"""The API against its own document: a generator asks every operation for what may and may not be asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.manager.people.asking import locally, token
from tests.fleet.manager.serving import HandAgent, Manager, serving

# Some thousand requests; a machine under full load takes many times the half minute of an idle one.
_SECONDS = 1200
_REQUEST_SECONDS = 120
_EXAMPLES = "5"
# What hangs on several values together (nodes or a selector, uses for join tokens alone) is refused with 400
# and a sentence; a schema has no words for it.
_BEYOND = "positive_data_acceptance"
# What a path names is there, so that more than its absence is looked at. A body that breaks a rule by being
# far too long is refused for its length.
_CONFIGURATION = """
[parameters]
node = "web-1"
role = "exporter"

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "schemathesis.toml").write_text(_CONFIGURATION)
    return tmp_path


@pytest.fixture
def manager(folder: Path) -> Iterator[Manager]:
    with serving(folder / "state", expect="absent") as running:
        HandAgent(running, "web-1", host_name="h1", interval=3600.0).say(described=True)
        yield running


def generated(folder: Path, manager: Manager, *more: str) -> str:
    """Return what the generator says, which is an error of the test when an answer is not as documented."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{manager.url}/api/v1/openapi.json"),
            *("--checks=all", f"--exclude-checks={_BEYOND}", f"--max-examples={_EXAMPLES}"),
            *("--phases=coverage,fuzzing", "--generation-deterministic", "--no-color", "--warnings=off"),
            f"--request-timeout={_REQUEST_SECONDS}",
            *more,
        ],
        cwd=folder,
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, "\n".join(line[:300] for line in done.stdout.splitlines()[-200:])
    return done.stdout


def test_every_answer_to_an_administrator_is_what_the_document_says(folder: Path, manager: Manager) -> None:
    admin = token(manager, "admin", None).headers["Authorization"]
    said = generated(folder, manager, "--header", f"Authorization: {admin}")
    operations = [
        each
        for table in locally(manager, "GET", "/api/v1/openapi.json")[1]["paths"].values()
        for each in table
    ]
    # All but the one that gives the document itself, which it has.
    assert f"Tested: {len(operations) - 1}" in said, said


def test_every_answer_to_who_may_only_look_is_what_the_document_says(folder: Path, manager: Manager) -> None:
    generated(folder, manager)
    assert manager.nodes()["web-1"]["state"] == "online"
