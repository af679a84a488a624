"""The host's own Engine: found, or installed from the distribution and started when there is none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from compose_agent.dockerd.endpoint import Endpoint, find_endpoint
from lab import LabError
from lab.engine import ping
from lab.packages import ensure_installed, progress

SOCKET = Path("/var/run/docker.sock")
# dockerd that was started here is remembered by its pid, so that it can be stopped by the same hand.
_PID_FILE = Path("/var/run/docker.pid")
_OURS = "engine.pid"
# A first start creates storage and network; on a small virtual machine this takes some seconds.
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


def ensure_engine(folder: Path, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """Return the Engine of this host, after installing or starting one if there is none.

    ``folder`` keeps the log and the pid of an Engine that was started without systemd. Asks before it
    installs, where there is a terminal. Raises LabError with what to do instead.
    """
    endpoint = find_endpoint(None, environ)
    if endpoint.origin not in ("found", "default") or is_there(endpoint):
        return endpoint  # one that the user named is the user's to start
    if (
        endpoint.socket_path
        and endpoint.socket_path.exists()
        and not os.access(endpoint.socket_path, os.W_OK)
    ):
        return endpoint  # it is there, but not for this user: the agent says what to do
    if os.getuid() != 0:
        raise LabError(
            "there is no Docker Engine on this host",
            remedy="install one as root (apt-get install docker.io), or name another with DOCKER_HOST",
        )
    if not shutil.which("dockerd"):
        _agree("There is no Docker Engine on this host. Install docker.io from the distribution?")
        progress("installing docker.io from the distribution")
        ensure_installed({"dockerd": "docker.io", "iptables": "iptables"})
    _start(folder)
    return find_endpoint(None, environ)


def stop_ours(folder: Path) -> None:
    """Stop the Engine that :func:`ensure_engine` started without systemd, if it did."""
    record = folder / _OURS
    if not record.exists():
        return
    pid = int(record.read_text())
    if _PID_FILE.exists() and _PID_FILE.read_text().strip() == str(pid):
        progress("stopping the Engine that was started here")
        os.kill(pid, signal.SIGTERM)
        _wait(lambda: not _PID_FILE.exists(), _STOP_SECONDS)
    record.unlink()


def is_there(endpoint: Endpoint) -> bool:
    """Tell whether there is anything to ask; of an Engine behind tcp or ssh the first call tells."""
    return endpoint.socket_path is None or ping(str(endpoint.socket_path))


def _agree(question: str) -> None:
    if not sys.stdin.isatty():
        return
    if input(f"{question} [Y/n] ").strip().lower() not in ("", "y", "yes"):
        raise LabError("nothing was installed", remedy="name an Engine with DOCKER_HOST")


def _start(folder: Path) -> None:
    if Path("/run/systemd/system").is_dir():
        progress("starting docker.service")
        subprocess.run(["systemctl", "start", "docker"], check=True)
    elif not ping(str(SOCKET)):
        progress(f"starting dockerd; it logs to {folder / 'engine.log'}")
        folder.mkdir(parents=True, exist_ok=True)
        # The shell ends at once and leaves dockerd to init: it is not this process's child, nor the agent's.
        command = 'setsid dockerd </dev/null >>"$0/engine.log" 2>&1 & echo $!'
        started = subprocess.run(["sh", "-c", command, str(folder)], stdout=subprocess.PIPE, check=True)
        (folder / _OURS).write_bytes(started.stdout.strip())
    if not _wait(lambda: ping(str(SOCKET)), _START_SECONDS):
        raise LabError(
            "the Engine did not start", remedy=f"see {folder / 'engine.log'} or journalctl -u docker"
        )


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
