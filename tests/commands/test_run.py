"""The life of the program: starting, dying, stopping, and two of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.program import STOP_SECONDS, Agent, eventually

Start = Callable[..., Agent]


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (("run",), signal.SIGTERM),
        (("run",), signal.SIGINT),
        (("run", "--one-process"), signal.SIGINT),
        (("export",), signal.SIGTERM),
    ],
)
def test_a_signal_stops_everything_within_seconds(
    arguments: tuple[str, ...], number: signal.Signals, agent: Start
) -> None:
    one = agent(*arguments).started()
    role = one.role_pid() if arguments == ("run",) else one.process.pid
    # As a terminal does it: to the whole foreground group.
    os.killpg(one.process.pid, number)
    assert one.process.wait(STOP_SECONDS) == 0
    assert "role did not stop and is killed" not in one.log
    assert not is_running(role)
    assert list(one.run_dir.iterdir()) == []
    assert "Traceback" not in one.log


def test_it_says_where_the_roles_listen(agent: Start) -> None:
    one = agent().started()
    eventually(lambda: one.out, "nothing printed")
    assert one.out == f"exporter     {one.urls()[0]}\n"


def test_a_role_that_dies_is_started_again(agent: Start) -> None:
    one = agent("run").started()
    before = one.role_pid()
    os.kill(before, signal.SIGKILL)
    eventually(lambda: "exit_status=-9 restart_in=1.0" in one.log, "its death was not noticed")
    one.started()
    assert one.role_pid() != before
    assert one.end() == 0


def test_a_hangup_of_a_role_is_its_supervisor_s_business(agent: Start) -> None:
    one = agent("run").started()
    os.kill(one.role_pid(), signal.SIGHUP)
    one.process.send_signal(signal.SIGHUP)
    eventually(lambda: "configuration applied" in one.log, "no reload")
    assert "role died" not in one.log


def test_roles_end_when_their_supervisor_is_killed(agent: Start) -> None:
    one = agent("run").started()
    role = one.role_pid()
    one.process.kill()
    one.process.wait()
    eventually(lambda: not is_running(role), "the role outlives its supervisor")
    assert not (one.run_dir / "exporter.sock").exists()
    agent("run").started()


def test_a_library_in_the_working_directory_is_not_taken(agent: Start, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("docker", "flask", "yaml"):
        (tmp_path / "a" / f"{name}.py").write_text("raise SystemExit('taken from the working directory')")
    agent("run").started().metrics()
