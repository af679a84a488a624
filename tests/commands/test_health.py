from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from compose_agent import supervisor
from compose_agent.commands.health import NAMES
from compose_agent.commands.roles import ROLES
from compose_agent.dockerd.fake import FakeEngine
from tests.commands.program import COMMAND, PATIENCE_SECONDS, Agent, environment, eventually

Start = Callable[..., Agent]


def health(run_dir: Path) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error of ``compose-agent health``."""
    run = subprocess.run(
        [*COMMAND, "health", f"--run-dir={run_dir}"],
        env=environment(run_dir.parent),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


def test_nothing_runs(tmp_path: Path) -> None:
    assert health(tmp_path) == (1, "", f"no role is running: no socket in {tmp_path}\n")


def test_everybody_there_is_is_asked() -> None:
    assert set(NAMES) == {supervisor.NAME, *(role.name for role in ROLES)}


def test_what_is_wrong_with_other_options_is_not_its_business(agent: Start, tmp_path: Path) -> None:
    file = tmp_path / "compose-agent.yml"
    with FakeEngine() as engine:
        one = agent("export", f"--docker.host={engine.url}").started()
        eventually(lambda: (state := one.readiness()) and state.ready, "never ready")
        file.write_text(f"run-dir: {one.run_dir}\nexporter: {{no-such-option: 1}}\n")
        run = subprocess.run(
            [*COMMAND, "health", f"--config.file={file}"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert (run.returncode, run.stdout) == (0, "exporter     ready\n"), run.stderr


def test_it_is_well_only_when_the_supervisor_and_every_role_are(agent: Start) -> None:
    with FakeEngine() as engine:
        one = agent("run", f"--docker.host={engine.url}").started()
        eventually(lambda: (state := one.readiness()) and state.ready, "never ready")
        # A role that does not answer within a second, as on a machine under full load, is not well.
        well = (0, "supervisor   ready\nexporter     ready\n", "")
        eventually(lambda: health(one.run_dir) == well, "it never was well")
        # Frozen, because one that is killed is started again, perhaps before it is asked for.
        os.kill(one.role_pid(), signal.SIGSTOP)
        status, out, _ = health(one.run_dir)
        os.kill(one.role_pid(), signal.SIGCONT)
    assert (status, out.splitlines()[0]) == (1, "supervisor   the role exporter does not answer")


def test_a_role_without_its_engine_says_so(agent: Start) -> None:
    one = agent("export").started()
    status, out, _ = health(one.run_dir)
    assert status == 1
    assert out.startswith(
        "exporter     no Engine at unix:///nowhere.sock (No such file or directory): start Docker"
    )
