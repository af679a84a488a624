"""What a person must mend is one sentence and an exit status of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import pytest

from lab.packages import ensure_installed
from tests.commands.program import COMMAND, PATIENCE_SECONDS, Agent, environment

Start = Callable[..., Agent]
MODES = pytest.mark.parametrize(
    "arguments", [("run",), ("run", "--one-process"), ("export",)], ids=["run", "one-process", "export"]
)


@pytest.fixture(name="unprivileged")
def command_without_privileges() -> tuple[str, ...]:
    """Return what takes from root what it may do in spite of a file's mode; nothing for other users."""
    if os.getuid() != 0:
        return ()
    ensure_installed({"setpriv": "util-linux"})
    return ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def failed(one: Agent) -> tuple[int, str]:
    """Return the exit status and the sentence of a program that ends by itself."""
    status = one.process.wait(PATIENCE_SECONDS)
    sentences = [line for line in one.log.splitlines() if line.startswith("compose-agent: ")]
    assert len(sentences) == 1, one.log
    assert "Traceback" not in one.log
    return status, sentences[0].removeprefix("compose-agent: ")


def test_2_a_wrong_configuration(agent: Start) -> None:
    one = agent("run", config="\nlog.level: loud\n")
    sentence = "log.level: expected one of debug, info, warning, error, not 'loud'"
    assert failed(one) == (2, f"{one.folder}/agent.yml:2: {sentence}")


def test_2_a_wrong_web_configuration(agent: Start, tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_user: {}\n")
    status, sentence = failed(agent("run", config=f"exporter.web.config.file: {web}\n"))
    assert status == 2
    assert sentence.startswith(f"{web}:1: unknown key 'basic_auth_user'")


def test_2_a_file_that_may_not_be_read(unprivileged: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "agent.yml"
    file.touch()
    file.chmod(0)
    run = subprocess.run(
        [*unprivileged, *COMMAND, "check", f"--config.file={file}"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (run.returncode, run.stderr) == (2, f"compose-agent: {file}: cannot be read: Permission denied\n")


@MODES
def test_3_a_port_in_use(arguments: tuple[str, ...], agent: Start) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        status, sentence = failed(
            agent(*arguments, config=f"exporter.web.listen-address: 127.0.0.1:{port}\n")
        )
    assert status == 3
    assert sentence.startswith(f"cannot listen on 127.0.0.1:{port}: the port is in use by ")
    assert sentence.endswith(f" (pid {os.getpid()}): stop that process, or choose another address")


def test_3_a_run_directory_that_cannot_be_made(agent: Start, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run").touch()
    status, sentence = failed(agent("run"))
    assert status == 3
    assert sentence.startswith(f"cannot make the run directory {tmp_path}/a/run: ")


@pytest.mark.parametrize("arguments", [("run",), ("export",)], ids=" ".join)
def test_4_no_permission_on_the_socket(
    arguments: tuple[str, ...], unprivileged: tuple[str, ...], agent: Start, tmp_path: Path
) -> None:
    path = tmp_path / "engine.sock"
    with closing(socket.socket(socket.AF_UNIX)) as engine:
        engine.bind(os.fspath(path))
        engine.listen()
        path.chmod(0)
        status, sentence = failed(agent(*arguments, f"--docker.host={path}", prefix=unprivileged))
    assert status == 4
    group = path.stat().st_gid
    assert sentence == (
        f"no permission on the Engine's socket unix://{path}: it belongs to group {group}: "
        f"add the user to it, or a container with group_add: [{group}]"
    )


class _OldEngine(BaseHTTPRequestHandler):
    """Answers a ping as Docker 18.09 does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Api-Version", "1.39")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return "unix"


@contextmanager
def old_engine(path: Path) -> Iterator[None]:
    with UnixStreamServer(os.fspath(path), _OldEngine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("arguments", [("run",), ("run", "--one-process")], ids=" ".join)
def test_5_an_engine_that_is_too_old(arguments: tuple[str, ...], agent: Start, tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with old_engine(path):
        status, sentence = failed(agent(*arguments, f"--docker.host={path}"))
    assert status == 5
    assert sentence == (
        "the Engine speaks API 1.39 and this agent needs 1.41 or newer: upgrade Docker to 20.10 or newer"
    )


@pytest.mark.parametrize(
    ("first", "second", "socket_name"),
    [
        ("run", ("run",), "supervisor"),
        ("run", ("run", "--one-process"), "supervisor"),
        ("run", ("export",), "exporter"),
        ("export", ("run",), "exporter"),
        ("export", ("export",), "exporter"),
    ],
)
def test_6_a_second_instance(first: str, second: tuple[str, ...], socket_name: str, agent: Start) -> None:
    one = agent(first).started()
    pid = one.role_pid() if (first, socket_name) == ("run", "exporter") else one.process.pid
    other = Agent(one.folder, [*second, "--docker.host=/nowhere.sock"])
    try:
        status, sentence = failed(other)
    finally:
        other.kill()
    assert status == 6
    path = one.run_dir / f"{socket_name}.sock"
    assert sentence == f"{path} is in use by the process with pid {pid}: stop it, or use another --run-dir"
    one.metrics()


def test_141_a_reader_that_went_away(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        run = subprocess.run(
            [*COMMAND, "check", "--effective"],
            env=environment(tmp_path),
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert (run.returncode, run.stderr) == (141, "")
