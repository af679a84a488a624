"""Actors in processes of their own, which can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import compose_agent
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.failpoints import KILLED_AT, VARIABLE

ROOT = Path(compose_agent.__file__).parent.parent
_PROGRAM = """
import sys
from pathlib import Path
from tests.dockerd.verbs.acting import acting, asked

url, folder, verb, target, timeout = sys.argv[1:]
with acting(url, Path(folder)) as actor:
    print(actor.perform(asked(verb, target, timeout=int(timeout))).result)
"""


def start(
    url: str, folder: Path, target: str, failpoints: str = "", *, verb: str = "restart", timeout: int = 10
) -> subprocess.Popen[str]:
    """Ask for an action in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, url, str(folder), verb, target, str(timeout)],
        env=os.environ | {VARIABLE: failpoints, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def perform(
    engine: FakeEngine,
    folder: Path,
    target: str,
    failpoints: str = "",
    *,
    verb: str = "restart",
    timeout: int = 10,
) -> tuple[int, str]:
    """Ask for an action in a process of its own; return its exit code and what it printed."""
    with start(engine.url, folder, target, failpoints, verb=verb, timeout=timeout) as started:
        said, errors = started.communicate()
    unexpected = [line for line in errors.splitlines() if not line.startswith(KILLED_AT)]
    assert not unexpected, errors
    return started.returncode, said.strip()
