from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab.scratch import Scratch, processes, sweep


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    made = Scratch()
    yield made
    if made.root.exists():
        made.close()


def test_closing_ends_the_processes_of_a_scratch_and_removes_its_folder(scratch: Scratch) -> None:
    with subprocess.Popen(["sleep", "1000"], env={**os.environ, **scratch.environment()}) as child:
        assert processes(scratch.token) == [child.pid]
        scratch.close()
        assert child.wait(5) < 0
    assert not scratch.root.exists()


def test_a_sweep_leaves_a_scratch_alone_whose_owner_lives(scratch: Scratch) -> None:
    sweep()
    assert scratch.root.exists()


OWNER = """
import os, signal, subprocess, sys
from lab.scratch import Scratch
scratch = Scratch()
environment = {**os.environ, **scratch.environment()}
subprocess.Popen(["sleep", "1000"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(scratch.token, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_sweep_removes_what_a_killed_owner_left_behind(scratch: Scratch) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWNER], capture_output=True, text=True, timeout=30, check=False
    )
    token = done.stdout.strip()
    left_over = scratch.root.with_name(token)
    # A sweep of somebody else's may have come first.
    assert done.returncode < 0
    sweep()
    assert not left_over.exists()
    assert processes(token) == []
