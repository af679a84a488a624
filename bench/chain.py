"""The real chain on one Engine: exporter → Prometheus → Alertmanager → remediation → restart.

Intervals are short; everything else is what users have: our rules, Alertmanager's webhook, the role as a
process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.patients import Ward, wait_until
from bench.remediation_plan import How
from lab import LabError
from lab.agent import Agent
from lab.alertmanager import NEWEST, Alertmanager, to_webhook
from lab.loopback import free_port
from lab.prometheus import Prometheus
from remediation.journal import look
from remediation.model import Episode, Intent, State

_ALERTS = Path(__file__).resolve().parent.parent / "alerts"
RULES = (_ALERTS / "rules" / "containers.yml").read_text(encoding="utf-8")
ALERT = "ContainerUnhealthy"
JOB = "exporter"

_INTERVAL = "500ms"
_PATIENCE_SECONDS = 120.0
_COMMAND_SECONDS = 60
# Budgets and pauses are for the storm; here every restart is asked for once.
UNHINDERED: Mapping[str, str] = {
    "per-target": "none",
    "per-service": "none",
    "replicas-share": "100%",
    "backoff": "1ms..1ms",
}
UNLIMITED = ("--budget.host=100000/1m", "--budget.global=100000/1m", "--freeze-after=100000/1m")


@dataclass(frozen=True, slots=True)
class Course:
    """How one illness went, in seconds since it began: what the Engine, Prometheus and the journal say.

    ``unhealthy`` is the Engine's event, ``fires`` the alert's start, ``received`` the webhook, ``begun`` the
    decision, ``dies`` and ``starts`` the Engine's events, ``acted`` the actor's answer, ``healthy`` the
    Engine's event, ``verified`` the end of the intent, ``resolved`` that of the episode.
    """

    unhealthy: float
    fires: float
    received: float
    begun: float
    dies: float
    starts: float
    acted: float
    healthy: float
    verified: float
    resolved: float

    def sentence(self) -> str:
        """Return it for people."""
        return ", ".join(f"{name} +{getattr(self, name):.2f} s" for name in self.__dataclass_fields__)


class Remediation(Agent):
    """``compose-agent remediate`` with a state of its own and these policies, always on the same port."""

    def __init__(self, host: str, policies: Mapping[str, Any], options: Sequence[str] = ()) -> None:
        self._policies = tempfile.NamedTemporaryFile("w", suffix=".yml")  # noqa: SIM115 - as long as this
        json.dump({"policies": policies}, self._policies)  # JSON is YAML as well
        self._policies.flush()
        self._state = tempfile.TemporaryDirectory(prefix="remediation-state-")
        self.state_dir = Path(self._state.name)
        own = (f"--state-dir={self.state_dir}", f"--policies={self._policies.name}")
        listen = f"--web.listen-address=127.0.0.1:{free_port()}"
        super().__init__(host, [*own, listen, *options], command="remediate", role="remediation")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._policies.close()
        self._state.cleanup()

    @property
    def webhook(self) -> str:
        """Where Alertmanager sends to."""
        return f"{self.url}/webhook"

    def episode(self, name: str) -> Episode | None:
        """Return the latest episode about a container."""
        with look(self.state_dir) as view:
            return next(iter(view.episodes_about([name], 1)), None)

    def intents(self, name: str) -> list[Intent]:
        """Return the intents about a container, newest first."""
        with look(self.state_dir) as view:
            found = [intent for _, intent in view.latest_intents(1000)]
        return [each for each in found if each.target.name == name]

    def say(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the program on this role's state, and return what it said."""
        place = (f"--state-dir={self.state_dir}", f"--run-dir={self.run_dir}")
        command = [sys.executable, "-P", "-m", "compose_agent", *arguments, *place]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False, env=os.environ
        )


class Chain:
    """All parts on the Engine at ``host``, from the ``rules`` (YAML) to the ``wanted`` policies.

    A context manager.
    """

    def __init__(
        self,
        host: str,
        *,
        line: str = NEWEST,
        rules: str = RULES,
        wanted: Mapping[str, Any] | None = None,
    ) -> None:
        self._host = host
        self._line = line
        self._rules = rules
        self._policies = wanted or policies()
        self._cleanup = ExitStack()
        self.remediation: Remediation
        self.alertmanager: Alertmanager
        self.prometheus: Prometheus

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.remediation = stack.enter_context(Remediation(self._host, self._policies, UNLIMITED))
            exporter = stack.enter_context(Agent(self._host))
            exporter.wait_ready()
            self.remediation.wait_ready()
            configuration = to_webhook(self.remediation.webhook)
            self.alertmanager = stack.enter_context(Alertmanager(configuration, line=self._line))
            rules = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".yml"))
            rules.write(self._rules)
            rules.flush()
            asked = prometheus_configuration(Path(rules.name), exporter.url, self.alertmanager.url)
            self.prometheus = stack.enter_context(Prometheus(asked))
            self.prometheus.wait_for(f'up{{job="{JOB}"}} == 1')
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def run(self, ward: Ward, name: str) -> Course:
        """Let a container become unhealthy and wait until all is well and over; LabError if it never is."""
        began = time.time()
        ward.fall_ill(name, How.UNHEALTHY)
        self._wait_until(lambda: self._is_over(name, began), f"{name} was not mended")
        episode, intents = self.remediation.episode(name), self.remediation.intents(name)
        assert episode is not None
        intent = next(each for each in intents if each.episode == episode.id)
        if intent.state is not State.DONE:
            raise LabError(f"the restart of {name} has {intent.state}: {intent.detail}")
        said = {each.action: each.at for each in ward.events() if each.container == name and each.at > began}
        return Course(
            unhealthy=said["health_status: unhealthy"] - began,
            fires=episode.starts_at - began,
            received=episode.received_at - began,
            begun=intent.started_at - began,
            dies=said["die"] - began,
            starts=said["start"] - began,
            acted=intent.acted_at - began,
            healthy=said["health_status: healthy"] - began,
            verified=intent.ended_at - began,
            resolved=episode.closed_at - began,
        )

    def _is_over(self, name: str, began: float) -> bool:
        episode = self.remediation.episode(name)
        return episode is not None and episode.opened_at > began and bool(episode.closed_at)

    def _wait_until(self, true: Callable[[], bool], failure: str) -> None:
        try:
            wait_until(true, failure, _PATIENCE_SECONDS)
        except LabError as error:
            raise LabError(str(error), remedy=self.remediation.log.read_text(encoding="utf-8")) from error


@dataclass(frozen=True, slots=True)
class Prompt:
    """How soon a container was restarted, in seconds since the Engine's event that it is unhealthy.

    ``begun`` is the decision, ``dies`` and ``starts`` are the Engine's events.
    """

    begun: float
    dies: float
    starts: float


def prompt(remediation: Remediation, ward: Ward, name: str) -> Prompt:
    """Let a container become unhealthy and wait until the role itself has mended it; LabError if never."""
    began = time.time()
    ward.fall_ill(name, How.UNHEALTHY)

    def is_mended() -> bool:
        latest = next(iter(remediation.intents(name)), None)
        return latest is not None and latest.created_at > began and latest.state is State.DONE

    wait_until(is_mended, f"{name} was not mended", _PATIENCE_SECONDS)
    said = {each.action: each.at for each in ward.events() if each.container == name and each.at > began}
    unhealthy = said["health_status: unhealthy"]
    started_at = remediation.intents(name)[0].started_at
    return Prompt(started_at - unhealthy, said["die"] - unhealthy, said["start"] - unhealthy)


def policies(condition: str = "unhealthy", job: str = JOB) -> Mapping[str, Any]:
    """Return the policy for unhealthy containers that Prometheus tells of.

    The role's own trigger, which sees the Engine's event at once, tells of them under the same name and
    without a ``job``.
    """
    return {
        "chain": {
            "match": f'alertname="{ALERT}", job="{job}"',
            "target": "container",
            "condition": condition,
            "action": "restart",
            "limits": dict(UNHINDERED),
            "verify": {"holds": "1s", "within": "1m"},
        }
    }


def prometheus_configuration(rules: Path, exporter: str, *alertmanagers: str) -> Mapping[str, Any]:
    """Return the configuration of a Prometheus with these rules."""
    targets = [url.removeprefix("http://") for url in alertmanagers]
    return {
        "global": {
            "scrape_interval": _INTERVAL,
            "scrape_timeout": _INTERVAL,
            "evaluation_interval": _INTERVAL,
        },
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": JOB, "static_configs": [{"targets": [exporter.removeprefix("http://")]}]}
        ],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": targets}]}]},
    }
