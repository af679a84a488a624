"""How long the real chain takes, from a container that becomes unhealthy to the end of its alert.

Real parts on a private Engine, with intervals of half a second; printed are the seconds since the container
became unhealthy, run by run as JSON, and then the medians and the slowest. In ``--story event`` only the role
itself watches the Engine, and printed are the seconds since the Engine's event. Of ``--story scale``,
in which a service has too much to do until it has three replicas, and then nothing, one run is printed.

    python -m bench.remediation_chain --runs 10
    python -m bench.remediation_chain --story event
    python -m bench.remediation_chain --story scale
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import docker

from bench import scaling_chain
from bench.chain import UNLIMITED, Chain, Course, Prompt, Remediation, policies, prompt
from bench.patients import real_ward
from bench.remediation_plan import Patient
from lab.alertmanager import LINES as ALERTMANAGERS
from lab.alertmanager import NEWEST
from lab.busybox import ensure_image
from lab.engine import PrivateEngine
from lab.lines import LINES as ENGINES

_NAME = "chain-web"


def main(argv: Sequence[str] | None = None) -> int:
    """Perform the runs one after the other and print what they took; 1 if the audit does not verify."""
    asked = _arguments(argv)
    return {"restart": _restart, "event": _event, "scale": _scale}[asked.story](asked)


def _scale(asked: argparse.Namespace) -> int:
    with (
        PrivateEngine(asked.engine_line, share_network=True) as engine,
        tempfile.TemporaryDirectory() as folder,
        closing(docker.DockerClient(base_url=engine.host)) as client,
        scaling_chain.project(engine, Path(folder)) as shop,
    ):
        ensure_image(client)
        shop.compose("up", "--detach")
        rules, wanted = scaling_chain.hasty_rules(), scaling_chain.hasty_policies()
        with Chain(engine.host, line=asked.alertmanager, rules=rules, wanted=wanted) as chain:
            climb = scaling_chain.climb(chain, client, Path(folder))
            print(chain.remediation.say("why", f"{scaling_chain.PROJECT}/{scaling_chain.SERVICE}").stdout)
            audit = chain.remediation.say("audit", "verify")
    print(audit.stdout or audit.stderr)
    print(json.dumps({**_rounded(asdict(climb)), "load_average": round(os.getloadavg()[0], 2)}))
    return audit.returncode


def _event(asked: argparse.Namespace) -> int:
    courses: list[Prompt] = []
    with (
        PrivateEngine(asked.engine_line) as engine,
        real_ward(engine.host) as ward,
        Remediation(engine.host, policies(job=""), UNLIMITED) as remediation,
    ):
        remediation.wait_ready()
        ward.admit(Patient(_NAME, True, False, 0.0, 0.0, ()))
        for _ in range(asked.runs):
            courses.append(prompt(remediation, ward, _NAME))
            print(json.dumps(_rounded(asdict(courses[-1]))), flush=True)
    print(json.dumps(summary(courses)))
    return 0


def _restart(asked: argparse.Namespace) -> int:
    courses: list[Course] = []
    with (
        PrivateEngine(asked.engine_line) as engine,
        real_ward(engine.host) as ward,
        Chain(engine.host, line=asked.alertmanager) as chain,
    ):
        ward.admit(Patient(_NAME, True, False, 0.0, 0.0, ()))
        for _ in range(asked.runs):
            courses.append(chain.run(ward, _NAME))
            print(json.dumps(_rounded(asdict(courses[-1]))), flush=True)
        print(chain.remediation.say("why", _NAME).stdout)
        audit = chain.remediation.say("audit", "verify")
    print(audit.stdout or audit.stderr)
    print(json.dumps(summary(courses)))
    return audit.returncode


def summary(courses: Sequence[Course] | Sequence[Prompt]) -> Mapping[str, object]:
    """Return the median and the slowest of each step, and how busy the machine was."""
    steps = [*asdict(courses[0])]
    values = {step: [getattr(course, step) for course in courses] for step in steps}
    return {
        "runs": len(courses),
        "median": _rounded({step: statistics.median(values[step]) for step in steps}),
        "slowest": _rounded({step: max(values[step]) for step in steps}),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _rounded(seconds: Mapping[str, float]) -> Mapping[str, float]:
    return {step: round(value, 3) for step, value in seconds.items()}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--story", choices=("restart", "event", "scale"), default="restart")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--engine-line", choices=ENGINES, default=ENGINES[-1])
    parser.add_argument("--alertmanager", choices=ALERTMANAGERS, default=NEWEST)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
