"""The processes of a tormented run: remediation, alone or behind a broker, each killed and started again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.remediation_plan import How, Plan
from bench.supervised import Supervised
from compose_agent.failpoints import KILLED_AT, VARIABLE
from lab.loopback import answers, free_port

ALERTS = {How.UNHEALTHY: "BenchUnhealthy", How.CRASHED: "BenchCrashed"}
_CONDITIONS = {How.UNHEALTHY: "unhealthy", How.CRASHED: "not-running"}

# Nothing but what the run itself does is to stand in the way.
_UNLIMITED = "100000/1m"
_UNHINDERED = {
    "per-target": "none",
    "per-service": "none",
    "replicas-share": "100%",
    "backoff": "1ms..1ms",
    "breaker": "1000 failures/1s",
}
_OPTIONS = (
    f"--budget.host={_UNLIMITED}",
    f"--budget.global={_UNLIMITED}",
    f"--freeze-after={_UNLIMITED}",
    "--deployment-quiet=0s",
)
_BROKER_OPTIONS = ("--budget.target=100000", "--budget.host=100000")


class Agents:
    """Everything of ours that runs, in ``home``; ``host`` is the Engine, ``broker`` puts one between.

    With ``forked`` no life imports the program anew.
    """

    def __init__(self, plan: Plan, home: Path, host: str, *, broker: bool, forked: bool = False) -> None:
        self._forked = forked
        self.state_dir = home / "state"
        self.port = free_port()
        self._plan = plan
        self._home = home
        self._calm = False
        self._all: list[Supervised] = []
        engine, actor = self._add_broker(host) if broker else (host, ())
        policies = home / "remediation.yml"
        policies.write_text(json.dumps(policies_of(plan)), encoding="utf-8")  # JSON is YAML as well
        listen = (f"--policies={policies}", f"--web.listen-address=127.0.0.1:{self.port}")
        self._add("remediate", engine, self.state_dir, *listen, *actor, *_OPTIONS)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for each in self._all:
                stack.enter_context(each)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def faults(self) -> Sequence[str]:
        """Every end but those by SIGKILL."""
        return [fault for each in self._all for fault in each.faults]

    @property
    def kills(self) -> int:
        """How often one of them was killed."""
        return sum(each.kills for each in self._all)

    @property
    def killed_at(self) -> Mapping[str, int]:
        """How often one died at which fail point."""
        lines = [line for each in self._all for line in each.log.read_text(errors="replace").splitlines()]
        return dict(Counter(line.removeprefix(KILLED_AT) for line in lines if line.startswith(KILLED_AT)))

    def kill_for_the_last_time(self) -> None:
        """Kill all of them; from now on no fail point kills."""
        self._calm = True
        self._last = [each.lives for each in self._all]
        for each in self._all:
            each.kill()

    def is_back(self) -> bool:
        """Tell whether all have begun another life since, and the role is ready."""
        again = all(each.lives > lives for each, lives in zip(self._all, self._last, strict=True))
        return again and answers(f"http://127.0.0.1:{self.port}/-/ready")

    def _add_broker(self, host: str) -> tuple[str, tuple[str, ...]]:
        """Return the Engine's address and the options with which the role goes through it."""
        read, act = self._home / "read.sock", self._home / "act.sock"
        sockets = (f"--read-socket={read}", f"--act-socket={act}")
        self._add("broker", host, self._home / "broker-state", *sockets, *_BROKER_OPTIONS)
        return f"unix://{read}", (f"--actor={act}",)

    def _add(self, command: str, engine: str, state_dir: Path, *options: str) -> None:
        arguments = [command, f"--docker.host={engine}", f"--state-dir={state_dir}", *options]
        self._all.append(
            Supervised(
                arguments,
                self._home / f"{command}.log",
                environ_of=partial(self._environ, command),
                pause_of=lambda life: self._plan.longest_pause * (life % 3) / 2,
                forked=self._forked,
            )
        )

    def _environ(self, command: str, life: int) -> Mapping[str, str]:
        if self._calm or life >= len(self._plan.dooms):
            return {VARIABLE: ""}
        doom = self._plan.dooms[life]
        return {VARIABLE: f"random:{self._plan.seed}.{command}.{life}:{doom.share}:{doom.prefix}"}


def policies_of(plan: Plan) -> Mapping[str, object]:
    """Return the policies of a run: one for each way to fall ill, with nothing that would hold them up."""
    return {
        "policies": {
            f"bench-{how}": {
                "match": f'alertname="{ALERTS[how]}"',
                "target": "container",
                "action": "restart",
                "condition": _CONDITIONS[how] if plan.conditional else "any",
                "limits": _UNHINDERED,
                "verify": {"holds": "0s", "within": "5s"},
            }
            for how in How
        }
    }
