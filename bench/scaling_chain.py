"""A Compose service that has too much to do, and then nothing: scaled up and down by the real chain.

The rules and policies are those that are shipped; their minutes are seconds here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml

from bench.chain import UNHINDERED, Chain
from bench.patients import wait_until
from lab.busybox import TAG
from lab.compose import Project
from lab.engine import PrivateEngine
from remediation.model import Intent

_ALERTS = Path(__file__).resolve().parent.parent / "alerts"
PROJECT, SERVICE = "climb", "worker"
MOST_REPLICAS = 3
_UP, _DOWN = "service-cpu-saturated", "service-cpu-idle"
# What a replica may use; three of them are to leave the machine to everybody else.
_CORES = 0.15
_BURN = "/load/burn"
_WORK = (
    f"trap 'exit 0' TERM; while :; do if [ -f {_BURN} ]; "
    "then i=0; while [ $i -lt 500 ]; do i=$((i+1)); done; else sleep 1 & wait $!; fi; done"
)
# In the order of the rules: windows, and how long it has to be so.
_HASTE = {"[2m]": "[6s]", "for: 2m": "for: 2s", "for: 10m": "for: 4s"}
# A new replica has so long to be of help until the next step of the ladder.
_HELPS_WITHIN = "20s"
_PATIENCE_SECONDS = 180.0
_RUNNING = [f"com.docker.compose.project={PROJECT}", f"com.docker.compose.service={SERVICE}"]


@dataclass(frozen=True, slots=True)
class Climb:
    """How it went: seconds since the service had too much to do, the last two since it had nothing.

    ``two``, ``three`` and ``one`` are when so many replicas ran, ``resolved`` is when the intent that scaled
    up last was over. ``added`` is the longest time from a decision to the replica that runs.
    """

    two: float
    three: float
    resolved: float
    one: float
    added: float

    def sentence(self) -> str:
        """Return it for people."""
        return (
            f"2 replicas +{self.two:.1f} s, 3 replicas +{self.three:.1f} s; "
            f"quiet: over +{self.resolved:.1f} s, 1 replica +{self.one:.1f} s; "
            f"from a decision to a replica {self.added:.2f} s"
        )


def project(engine: PrivateEngine, folder: Path) -> Project:
    """Return the project; its service works hard while there is a file in ``folder``/load."""
    (folder / "load").mkdir()
    service = {
        "image": TAG,
        "command": ["sh", "-c", _WORK],
        "cpus": _CORES,
        "volumes": [f"{folder / 'load'}:/load:ro"],
        "labels": {"compose-agent.remediate": "scale"},
    }
    return Project(engine, folder, PROJECT, {"services": {SERVICE: service}})


def hasty_rules() -> str:
    """Return the shipped rules about services, with seconds for minutes."""
    found = [path.read_text(encoding="utf-8") for path in sorted((_ALERTS / "rules").glob("*.yml"))]
    (text,) = [each for each in found if "alert: ServiceCpuSaturated" in each]
    return re.sub("|".join(map(re.escape, _HASTE)), lambda match: _HASTE[match[0]], text)


def hasty_policies() -> Mapping[str, Any]:
    """Return the shipped policies about the CPU of services, without their pauses."""
    text = (_ALERTS / "remediation.yml").read_text(encoding="utf-8")
    shipped = yaml.safe_load(text)["policies"]
    wanted = {name: {**shipped[name], "limits": dict(UNHINDERED)} for name in (_UP, _DOWN)}
    wanted[_UP]["verify"] = {**wanted[_UP]["verify"], "within": _HELPS_WITHIN}
    return wanted


def climb(chain: Chain, client: docker.DockerClient, folder: Path) -> Climb:
    """Give the service too much to do, and nothing when three replicas run; LabError if it stays so."""
    burn = folder / "load" / Path(_BURN).name
    began = time.monotonic()
    burn.touch()
    two = _when(lambda: _running(client) == 2, "there was no second replica", began)
    three = _when(lambda: _running(client) == MOST_REPLICAS, "there was no third replica", began)
    quiet = time.monotonic()
    burn.unlink()
    resolved = _when(lambda: _is_over(chain, _UP), "the saturation did not end", quiet)
    one = _when(lambda: _running(client) == 1, "it did not come back to one replica", quiet)
    _when(lambda: _is_over(chain, _DOWN), "the way down did not end", quiet)
    added = max(each.acted_at - each.started_at for each in _intents(chain, _UP))
    return Climb(two, three, resolved, one, added)


def _when(true: Callable[[], bool], failure: str, since: float) -> float:
    wait_until(true, failure, _PATIENCE_SECONDS)
    return time.monotonic() - since


def _running(client: docker.DockerClient) -> int:
    return len(client.api.containers(quiet=True, filters={"label": _RUNNING, "status": "running"}))


def _is_over(chain: Chain, policy: str) -> bool:
    """Tell whether nothing is left to do about the service."""
    intents = _intents(chain, policy)
    return bool(intents) and all(each.ended_at for each in intents)


def _intents(chain: Chain, policy: str) -> list[Intent]:
    return [each for each in chain.remediation.intents(f"{PROJECT}/{SERVICE}") if each.policy == policy]
