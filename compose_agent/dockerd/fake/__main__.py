"""The fake Engine as a program: ``python -m compose_agent.dockerd.fake --socket PATH``."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence

from compose_agent.dockerd.fake.engine import FakeEngine


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; print the address once it is served."""
    options = _options().parse_args(arguments)
    stops = (signal.SIGINT, signal.SIGTERM)
    # Blocked in every thread, so that sigwait below is the only one to see them.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with FakeEngine(
        options.socket,
        api_version=options.api_version,
        min_api_version=options.min_api_version,
        info={"CgroupVersion": options.cgroup_version},
    ) as engine:
        engine.add_project("demo", {"web": options.containers})
        print(engine.url, flush=True)  # noqa: T201
        signal.sigwait(stops)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m compose_agent.dockerd.fake", description=__doc__)
    parser.add_argument("--socket", required=True, help="path of the unix socket to listen on")
    parser.add_argument("--containers", type=int, default=0, help="running containers to begin with")
    parser.add_argument("--api-version", default="1.51", help="newest API version, 1.41 to 1.52")
    parser.add_argument("--min-api-version", help="oldest API version (default: that of the Engine played)")
    parser.add_argument("--cgroup-version", choices=("1", "2"), default="1")
    return parser


if __name__ == "__main__":
    main()
