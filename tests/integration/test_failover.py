"""Fail-over of real services: who answers by a name inside their network, and who never does again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from compose_agent.failpoints import VARIABLE
from lab import failover
from lab.agent import Agent
from lab.compose import Project
from lab.engine import PrivateEngine
from tests.integration.metrics import eventually

pytestmark = [pytest.mark.engine, pytest.mark.lines]

ALIAS = "database"
# From the first failed check to the answer of another one it takes seconds; this machine is shared.
PATIENCE_SECONDS = 60.0
# The one that comes with the program is beside others, by which who is ill would be restarted, too.
POLICIES = """
policies:
  failover:
    match: alertname="FailoverDue"
    target: group
    action: failover
    limits: {backoff: 1s..1s}
    verify: {holds: 2s}
"""
# A busy machine takes longer for a check of one that is well; one that is ill is told at once.
HEALTHCHECK = {**failover.HEALTHCHECK, "timeout": "15s"}
# Between the end of the fencing and the start of the standby, at each side of every line that is written.
KILLED_AT = ("failover.before-ended", "failover.after-ended", "failover.after-step:2", "actor.before-call:2")


class Shop:
    """A project that is up, and an agent that may be killed and started again on the same state."""

    def __init__(
        self, project: Project, engine: PrivateEngine, api: docker.DockerClient, folder: Path
    ) -> None:
        self._engine = engine
        self._folder = folder
        self.api = api
        self.name = project.name
        self.client = failover.client_of(api, project.name)

    def container(self, service: str, number: int = 1) -> Any:
        """Return a container as it is now."""
        return self.api.containers.get(f"{self.name}-{service}-{number}")

    @contextmanager
    def agent(self, *options: str, environ: Mapping[str, str] | None = None) -> Iterator[Agent]:
        """Run the remediation role until the end of the block."""
        policies = self._folder / "policies.yml"
        policies.write_text(POLICIES)
        chosen = [f"--state-dir={self._folder / 'state'}", f"--policies={policies}", *options]
        with Agent(
            self._engine.host, chosen, command="remediate", role="remediation", environ=environ
        ) as agent:
            agent.wait_ready()
            yield agent

    def told(self, command: str, *words: str) -> str:
        """Return what a subcommand says of the state."""
        argv = [
            sys.executable,
            "-m",
            "compose_agent",
            command,
            *words,
            f"--state-dir={self._folder / 'state'}",
        ]
        done = subprocess.run(
            [*argv, f"--run-dir={self._folder / 'none'}"], capture_output=True, text=True, check=True
        )
        return done.stdout

    def has_seen(self, since: float, *wanted: tuple[str, str]) -> None:
        """Wait until these are the events since a time: the Engine may tell of one a moment later."""

        def check() -> None:
            assert self.events(since) == list(wanted)

        eventually(check)

    def events(self, since: float) -> list[tuple[str, str]]:
        """Return the starts and ends of containers since a time of the Engine, as (event, service)."""
        label = f"com.docker.compose.project={self.name}"
        wanted = {"event": ["start", "die"], "type": ["container"], "label": [label]}
        seen = self.api.events(since=since, until=time.time(), filters=wanted, decode=True)
        return [(each["Action"], each["Actor"]["Attributes"]["com.docker.compose.service"]) for each in seen]


@pytest.fixture
def make(
    engine: PrivateEngine,
    docker_client: docker.DockerClient,
    busybox: str,  # noqa: ARG001 - is there
    tmp_path: Path,
) -> Iterator[Callable[[dict[str, Any]], Shop]]:
    """Return a function that brings a project up, of which the standbys do not run."""
    projects: list[Project] = []

    def made(services: dict[str, Any]) -> Shop:
        model = {"services": {**services, **failover.client()}}
        project = Project(engine, tmp_path, f"shop{len(projects)}", model)
        projects.append(project)
        project.compose("create")
        project.compose("start", *(each for each in model["services"] if each != "spare"))
        return Shop(project, engine, docker_client, tmp_path)

    yield made
    for project in projects:
        project.__exit__(None, None, None)


def database(**labels: str) -> dict[str, Any]:
    services = failover.pair("db", "db", "spare", ALIAS, labels)
    for each in services.values():
        each["healthcheck"] = HEALTHCHECK
    return services


def until(holds: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def health(shop: Shop, number: int) -> str:
    return str(shop.container("web", number).attrs["State"]["Health"]["Status"])


def answers(shop: Shop, service: str) -> bool:
    return shop.client.name_of(ALIAS) == service


def test_the_standby_takes_over_the_name_of_a_primary_that_was_fenced(make: Callable[..., Shop]) -> None:
    shop = make(database())
    until(lambda: answers(shop, "db"))
    since = time.time()
    with shop.agent():
        failover.fail(shop.container("db"))
        until(lambda: answers(shop, "spare"))
        until(lambda: '"state":"done"' in shop.told("actions", "--json").replace(" ", ""))
    shop.has_seen(since, ("die", "db"), ("start", "spare"))
    assert shop.container("db").status == "exited"
    for word in (f"{shop.name}/db", f"{shop.name}-db-1", f"{shop.name}-spare-1"):
        told = shop.told("why", word)
        assert f"The stop of container:{shop.name}-db-1: it was done" in told
        assert f"The failover of group:{shop.name}/db helped" in told


@pytest.mark.parametrize("point", KILLED_AT)
def test_killed_between_fencing_and_starting_it_goes_on(make: Callable[..., Shop], point: str) -> None:
    shop = make(database())
    until(lambda: answers(shop, "db"))
    since = time.time()
    with shop.agent(environ={VARIABLE: point}) as agent:
        failover.fail(shop.container("db"))
        assert agent.process is not None
        assert agent.process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        assert (shop.container("db").status, shop.container("spare").status) == ("exited", "created")
    with shop.agent():
        until(lambda: answers(shop, "spare"))
    shop.has_seen(since, ("die", "db"), ("start", "spare"))


def test_one_that_somebody_stopped_is_not_replaced_and_one_that_died_is(make: Callable[..., Shop]) -> None:
    shop = make(database())
    until(lambda: answers(shop, "db"))
    since = time.time()
    with shop.agent():
        shop.container("db").stop(timeout=2)
        shop.container("db").start()
        # Before it serves there is nothing to kill.
        until(lambda: answers(shop, "db"))
        shop.container("db").exec_run(["sh", "-c", "kill -9 $(pidof httpd)"])
        until(lambda: answers(shop, "spare"))
    shop.has_seen(since, ("die", "db"), ("start", "db"), ("die", "db"), ("start", "spare"))


@pytest.mark.parametrize("why", ["dry-run", "label"])
def test_nobody_is_touched_without_consent(make: Callable[..., Shop], why: str) -> None:
    services = database()
    if why == "label":
        del services["spare"]["labels"]["compose-agent.remediate"]
    shop = make(services)
    # It says that it is well when it starts, also after it was told to be ill.
    until(lambda: answers(shop, "db"))
    since = time.time()
    with shop.agent(*(["--dry-run"] if why == "dry-run" else [])):
        failover.fail(shop.container("db"))
        until(lambda: "suppressed" in shop.told("actions"))
    (row,) = json.loads(shop.told("actions", "--json"))
    assert row["reason"] == {"dry-run": "dry_run", "label": "not_opted_in"}[why]
    assert shop.events(since) == []


def test_dns_stops_naming_an_ill_replica_and_names_it_again(make: Callable[..., Shop]) -> None:
    services = failover.replicas("web", "web", 2)
    services["web"]["healthcheck"] = HEALTHCHECK
    shop = make(services)
    network = f"{shop.name}_default"
    ill, other = shop.container("web", 1), shop.container("web", 2)
    both = {failover.address_in(ill, network), failover.address_in(other, network)}
    until(lambda: shop.client.addresses_of("web") == both)
    for number in (1, 2):
        until(lambda number=number: health(shop, number) == "healthy")  # type: ignore[misc]
    since = time.time()
    with shop.agent():
        failover.fail(ill)
        alone = {failover.address_in(other, network)}
        until(lambda: shop.client.addresses_of("web") == alone)
        until(lambda: failover.address_in(ill, network) == "")
        # The last one that is well stays.
        failover.fail(other)
        until(lambda: health(shop, 2) == "unhealthy")
        failover.mend(ill)
        failover.mend(other)
        until(lambda: len(shop.client.addresses_of("web")) == 2)
        own = f"{shop.name}-web-1"
        until(lambda: shop.client.addresses_of(own) == {failover.address_in(ill, network)})
    assert shop.events(since) == []
