"""All roles on an Engine, each the real program, with a real Prometheus and Alertmanager over them.

Everything is as users have it, rules and Alertmanager's configuration too, but for the interval of a second.
With ``hasten`` all times of the rules are that much shorter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
import yaml

from lab.agent import Agent
from lab.alertmanager import Alertmanager
from lab.engine import PrivateEngine
from lab.prometheus import Prometheus
from lab.shipping import Shipping
from tests.alerts.rules import ALERTS, RULES

HOST = "lab"
# Fifteen times as often as in the bundle.
INTERVAL = "1s"
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
# All at once: on a busy machine now one and now another is scraped too late.
_ALL_UP_SECONDS = 120.0
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Observed:
    """Started by ``with``; ``prometheus`` is asked what it knows."""

    def __init__(
        self,
        engine: PrivateEngine,
        folder: Path,
        *,
        hasten: int = 1,
        remediation: bool = True,
        sinks: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._sinks = [f"--sink={each}" for each in sinks]
        self._hasten = hasten
        self._with_remediation = remediation
        self._cleanup = ExitStack()
        self.prometheus: Prometheus
        self.broker: Agent | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            jobs = {"exporter": self._agent(stack, "export", "exporter")}
            jobs["logs"] = stack.enter_context(Shipping(self._engine, self._folder, self._sinks).agent)
            if self._with_remediation:
                jobs |= self._acting(stack)
            targets = {job: _web(agent) for job, agent in jobs.items()}
            webhook = f"{targets.get('remediation', 'http://127.0.0.1:9')}/webhook"
            alertmanager = stack.enter_context(Alertmanager(_alertmanager(webhook)))
            targets["alertmanager"] = alertmanager.url
            for agent in jobs.values():
                agent.wait_ready()
            self.prometheus = stack.enter_context(Prometheus(self._configuration(targets)))
            self._let_it_scrape_itself()
            self.prometheus.wait_for(f"count(up == 1) == {len(targets) + 1}", _ALL_UP_SECONDS)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _agent(self, stack: ExitStack, command: str, role: str, *options: str) -> Agent:
        return stack.enter_context(Agent(self._engine.host, options, command=command, role=role))

    def _acting(self, stack: ExitStack) -> dict[str, Agent]:
        state = f"--state-dir={self._folder / 'broker'}"
        broker = self._agent(stack, "broker", "broker", state)
        remediation = self._agent(
            stack,
            "remediate",
            "remediation",
            f"--state-dir={self._folder / 'remediation'}",
            f"--actor={broker.run_dir / 'act.sock'}",
        )
        self.broker = broker
        return {"broker": broker, "remediation": remediation}

    @property
    def _itself(self) -> Path:
        return self._folder / "prometheus.json"

    def _let_it_scrape_itself(self) -> None:
        """Write down its address, which it has only since it was started."""
        target = {"targets": [self.prometheus.url.removeprefix("http://")], "labels": {"instance": HOST}}
        made = self._itself.with_suffix(".new")
        made.write_text(json.dumps([target]), encoding="utf-8")
        made.rename(self._itself)

    def _configuration(self, targets: dict[str, str]) -> dict[str, Any]:
        jobs = {job: url.removeprefix("http://") for job, url in targets.items()}
        return {
            "global": {
                "scrape_interval": INTERVAL,
                "scrape_timeout": INTERVAL,
                "evaluation_interval": INTERVAL,
            },
            "rule_files": [str(path) for path in hastened(self._folder, self._hasten)],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [{"targets": [address], "labels": {"instance": HOST}}],
                }
                for job, address in jobs.items()
            ]
            + [{"job_name": "prometheus", "file_sd_configs": [{"files": [str(self._itself)]}]}],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [jobs["alertmanager"]]}]}]},
        }


def _web(agent: Agent) -> str:
    """Return where it serves HTTP; a broker has sockets besides."""
    return next(each for each in agent.readiness().listeners if each.startswith("http://"))


def hastened(folder: Path, by: int) -> list[Path]:
    """Write the rules anew into ``folder``, with every time ``by`` times as short, and return the files."""
    made = []
    for path in RULES:
        file = folder / path.name
        text = path.read_text(encoding="utf-8")
        times = re.compile(r"(?<=\[)(\d+)([smh])(?=\])|(?<=\bfor: )(\d+)([smh])|(?<=offset )(\d+)([smh])")

        def shorter(match: re.Match[str]) -> str:
            number, unit = (each for each in match.groups() if each)
            return f"{max(1, int(number) * _SECONDS[unit] // by)}s"

        file.write_text(times.sub(shorter, text) if by > 1 else text, encoding="utf-8")
        made.append(file)
    return made


def _alertmanager(webhook: str) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load((ALERTS / "alertmanager.yml").read_text(encoding="utf-8"))
    for receiver in configuration["receivers"]:
        for each in receiver.get("webhook_configs", []):
            each["url"] = webhook
    return configuration


def patient(
    client: docker.DockerClient, image: str, service: str, script: str, number: int = 1, **options: Any
) -> str:
    """Start a container of a Compose service of the project ``ward``, and return its name."""
    name = f"ward-{service}-{number}"
    labels = {PROJECT_LABEL: "ward", SERVICE_LABEL: service, "com.docker.compose.oneoff": "False"}
    more = options.pop("labels", {})
    command = ["sh", "-c", f"trap 'exit 0' TERM\n{script}"]
    client.containers.run(image, command, name=name, detach=True, labels={**labels, **more}, **options)
    return name


def discharge(client: docker.DockerClient) -> None:
    """Remove what ``patient`` started."""
    for each in client.containers.list(all=True, filters={"label": f"{PROJECT_LABEL}=ward"}):
        each.remove(force=True, v=True)
