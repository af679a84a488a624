"""What ``scripts/run`` does once its environment stands: an Engine, the demo, the agent."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import docker
import docker.errors

from compose_agent.dockerd.endpoint import Endpoint, find_endpoint
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient
from lab import LabError, demo
from lab.host_engine import ensure_engine, is_there, stop_ours

_CHECKOUT = Path(__file__).resolve().parent.parent
_FOLDER = _CHECKOUT / ".cache" / "run"
_AGENT = [sys.executable, "-m", "compose_agent"]
# A first complete scrape waits for every container to be inspected once.
_READY_SECONDS = 30.0
# Enough of the metrics to see their form, not so much that it scrolls the table away.
_SAMPLE_FAMILIES = ("docker_up", "docker_containers", "docker_container_memory_working_set_bytes")


def main() -> int:
    """Run the command line and return its exit status."""
    arguments, agent_options = _parser().parse_known_args()
    try:
        return _run(arguments, agent_options)
    except ComposeAgentError as error:
        print(f"scripts/run: {error}", file=sys.stderr)
        return error.exit_code
    except docker.errors.DockerException as error:
        print(f"scripts/run: the Engine could not do it: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/run",
        description="Run the agent on this host in the foreground; Ctrl-C stops it. Finds the Docker Engine, "
        "or installs one from the distribution when there is none.",
        epilog="All other options go to compose-agent run; see .venv/bin/compose-agent run --help.",
    )
    parser.add_argument("--demo", action="store_true", help="also start a small sample Compose project")
    parser.add_argument("--down", action="store_true", help="with --demo: remove every trace of the project")
    parser.add_argument(
        "--once", action="store_true", help="print the containers and some metrics, then exit"
    )
    return parser


def _run(arguments: argparse.Namespace, agent_options: list[str]) -> int:
    if arguments.down and not arguments.demo:
        raise LabError("--down removes the demo", remedy="say scripts/run --demo --down")
    if arguments.down:
        return _down()
    endpoint = ensure_engine(_FOLDER)
    if arguments.demo:
        client = _client(endpoint)
        demo.up(client)
        agent_options = [*_demo_options(client), *agent_options]
        client.close()
    if arguments.once:
        return _once(agent_options)
    return os.execv(sys.executable, [*_AGENT, "run", *agent_options])  # noqa: S606 - becomes the agent


def _demo_options(client: docker.DockerClient) -> list[str]:
    """Return the options that ship the sample project's logs into a file, where this user may read logs."""
    root = Path(client.info()["DockerRootDir"])
    if not os.access(root / "containers", os.R_OK | os.X_OK):
        return []
    _FOLDER.mkdir(parents=True, exist_ok=True)
    return [
        f"--logs.sink=file://{_FOLDER}/logs.ndjson?max-size=10MB",
        f"--logs.docker-root={root}",
        "--logs.containers=demo-*",
        "--logs.from=beginning",
    ]


def _down() -> int:
    endpoint = find_endpoint(None, os.environ)
    if is_there(endpoint):
        client = _client(endpoint)
        demo.down(client)
        client.close()
    stop_ours(_FOLDER)
    shutil.rmtree(_FOLDER, ignore_errors=True)
    return 0


def _client(endpoint: Endpoint) -> docker.DockerClient:
    return docker.DockerClient(base_url=endpoint.host, tls=endpoint.tls or False, timeout=120)


def _once(agent_options: list[str]) -> int:
    """Run an agent of its own, beside any other, until its first complete scrape; print what it sees."""
    with tempfile.TemporaryDirectory(prefix="compose-agent-") as run_dir:
        options = ["--exporter.web.listen-address=127.0.0.1:0", "--log.level=warning", *agent_options]
        options.append("--no-enable-remediation")  # to look is all that it is for
        agent = subprocess.Popen(
            [*_AGENT, "run", *options, f"--run-dir={run_dir}"], stdout=subprocess.DEVNULL
        )
        try:
            client = LocalClient(Path(run_dir), "exporter")
            code = _wait_ready(agent, client)
            if code == 0:
                subprocess.run([*_AGENT, "status", f"--run-dir={run_dir}"], check=True)
                print("\n" + _sample(client), flush=True)
            return code
        finally:
            agent.terminate()
            agent.wait()


def _wait_ready(agent: subprocess.Popen[bytes], client: LocalClient) -> int:
    """Return 0 when the exporter is ready, or the exit status of an agent that could not start."""
    deadline = time.monotonic() + _READY_SECONDS
    problem = "it did not answer"
    while time.monotonic() < deadline:
        if (code := agent.poll()) is not None:
            return code or 1
        try:
            readiness = client.ready()
        except ComposeAgentError as error:
            problem = str(error)
        else:
            if readiness.ready:
                return 0
            problem = "; ".join(readiness.reasons)
        time.sleep(0.1)
    raise LabError(f"no complete scrape within {_READY_SECONDS:g} s", remedy=problem)


def _sample(client: LocalClient) -> str:
    _, body = client.request("GET", "/metrics")
    lines = body.decode().splitlines()
    return "\n".join(line for line in lines if line.split("{")[0].split(" ")[0] in _SAMPLE_FAMILIES)


if __name__ == "__main__":
    sys.exit(main())
