"""Services of a real Swarm of one node: scaled, made anew, rolled back, and with a rival at work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.services import Service
from docker.types import RestartPolicy, ServiceMode, UpdateConfig

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Budget
from compose_agent.dockerd.verbs.contract import Verb
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.dockerd.verbs.optin import LABEL, OptIn
from compose_agent.dockerd.verbs.swarm.force_update import ForceUpdate
from compose_agent.dockerd.verbs.swarm.rollback import Rollback
from compose_agent.dockerd.verbs.swarm.scale import SwarmScale
from compose_agent.dockerd.verbs.swarm.services import Spec, SwarmService, change
from lab.busybox import TAG, ensure_image
from lab.compose import SLEEPER
from lab.engine import PrivateEngine
from tests.integration.metrics import eventually
from tests.integration.scaling import CALL_SECONDS, MANY, QUICK

pytestmark = [pytest.mark.engine, pytest.mark.lines]

VERBS: dict[str, Verb] = {verb.name: verb for verb in (SwarmScale(), ForceUpdate(), Rollback())}
COMMAND = ["sh", "-c", SLEEPER]
# How long Swarm watches a new task before it goes on: its own 5 s are long for tests, unless one is to fail.
MONITOR_NS = 200_000_000
LONG_MONITOR_NS = 20_000_000_000
RIVAL_PAUSE_SECONDS = 0.05

Ask = Callable[..., Outcome]


@pytest.fixture(scope="module")
def own_engine(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """Start an Engine that is a Swarm of one node."""
    with PrivateEngine(request.config.getoption("--engine-line")) as engine:
        yield engine


@pytest.fixture(scope="module")
def swarm(own_engine: PrivateEngine) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=own_engine.host, timeout=CALL_SECONDS)
    ensure_image(client)
    client.swarm.init(advertise_addr="127.0.0.1")
    yield client
    client.close()


@pytest.fixture
def ask(own_engine: PrivateEngine, tmp_path: Path) -> Iterator[Ask]:
    """Return a function that has an actor do something once."""
    with asking(own_engine.host, tmp_path) as asked:
        yield asked


@contextmanager
def asking(host: str, folder: Path) -> Iterator[Ask]:
    client = EngineClient(Endpoint(host, "test"), timeout=CALL_SECONDS)
    journal = Journal(folder)
    actor = LocalActor(client, journal, VERBS, OptIn(), Budget(MANY), patience=QUICK)

    def ask(verb: str, target: str, *, id: str = "", **arguments: int) -> Outcome:
        name = id or f"{verb} {target} {arguments}"
        return actor.perform(VerbRequest(id=name, verb=verb, target=target, arguments=arguments))

    yield ask
    actor.close()
    client.close()
    journal.close()


@pytest.fixture
def service(swarm: docker.DockerClient) -> Iterator[Service]:
    """Return a service of two replicas that runs."""
    made = create(swarm, "web")
    eventually(lambda: runs(made, 2), seconds=60)
    yield made
    made.remove()


def create(swarm: docker.DockerClient, name: str, **more: Any) -> Service:
    wanted = {
        "command": COMMAND,
        "mode": ServiceMode("replicated", 2),
        "update_config": UpdateConfig(parallelism=1, monitor=MONITOR_NS, failure_action="pause"),
    } | more
    return swarm.services.create(
        TAG,
        name=name,
        labels={LABEL: "restart,scale"},
        rollback_config=UpdateConfig(parallelism=1, monitor=MONITOR_NS),
        restart_policy=RestartPolicy("any", delay=0),
        **wanted,
    )


def runs(service: Service, count: int) -> None:
    tasks = service.tasks({"desired-state": "running"})
    assert [task["Status"]["State"] for task in tasks] == ["running"] * count


def spec(service: Service) -> dict[str, object]:
    service.reload()
    return dict(service.attrs["Spec"])


def test_a_service_gets_as_many_replicas_as_asked_for_and_nothing_else_changes(
    service: Service, ask: Ask
) -> None:
    before = spec(service)
    assert ask("swarm_scale", service.id, to=3) == Outcome(
        result=Result.DONE, details={"replicas": 3, "before": 2}
    )
    eventually(lambda: runs(service, 3), seconds=60)
    assert spec(service) == before | {"Mode": {"Replicated": {"Replicas": 3}}}
    assert ask("swarm_scale", service.id, to=1, min=1, max=3).result is Result.DONE
    eventually(lambda: runs(service, 1), seconds=60)


def test_the_same_request_does_not_undo_what_an_operator_did(service: Service, ask: Ask) -> None:
    assert ask("swarm_scale", service.id, to=3).result is Result.DONE
    service.reload()
    service.scale(1)
    assert ask("swarm_scale", service.id, to=3).result is Result.DONE
    assert spec(service)["Mode"] == {"Replicated": {"Replicas": 1}}


def test_every_task_is_made_anew_and_the_number_stays(service: Service, ask: Ask) -> None:
    before = {task["ID"] for task in service.tasks({"desired-state": "running"})}
    assert ask("swarm_update", service.id).details == {"update": "completed"}
    eventually(lambda: runs(service, 2), seconds=60)
    assert not before & {task["ID"] for task in service.tasks({"desired-state": "running"})}


def test_an_update_whose_tasks_do_not_live_has_failed(
    swarm: docker.DockerClient, ask: Ask, tmp_path: Path
) -> None:
    (tmp_path / "alive").touch()
    script = f"[ -f /here/alive ] || exit 1; {SLEEPER}"
    fragile = create(
        swarm,
        "fragile",
        command=["sh", "-c", script],
        mounts=[f"{tmp_path}:/here:ro"],
        update_config=UpdateConfig(parallelism=1, monitor=LONG_MONITOR_NS, failure_action="pause"),
    )
    try:
        eventually(lambda: runs(fragile, 2), seconds=60)
        (tmp_path / "alive").unlink()
        outcome = ask("swarm_update", fragile.id)
    finally:
        fragile.remove()
    assert outcome.result is Result.FAILED
    assert "the update of fragile is paused: update paused due to failure" in outcome.reason


def test_a_rollback_brings_the_specification_before_back(service: Service, ask: Ask) -> None:
    service.update(env=["NEW=1"], fetch_current_spec=True)
    eventually(lambda: _state(service, "completed"), seconds=120)
    assert _environment(service) == ["NEW=1"]
    assert ask("swarm_rollback", service.id).details == {"update": "rollback_completed"}
    assert _environment(service) is None


def test_nothing_is_done_while_swarm_is_at_an_update(service: Service, ask: Ask) -> None:
    # It is still at it when a busy machine comes to ask.
    lasting = UpdateConfig(parallelism=1, monitor=LONG_MONITOR_NS, failure_action="pause")
    service.update(env=["NEW=1"], update_config=lasting, fetch_current_spec=True)
    eventually(lambda: _state(service, "updating"), seconds=30)
    outcome = ask("swarm_scale", service.id, to=3)
    assert outcome.result is Result.REFUSED
    assert "Swarm is at an update of web (updating)" in outcome.reason


def test_a_service_on_each_node_is_not_scaled(swarm: docker.DockerClient, ask: Ask) -> None:
    everywhere = create(swarm, "everywhere", mode=ServiceMode("global"))
    try:
        outcome = ask("swarm_scale", everywhere.id, to=3)
    finally:
        everywhere.remove()
    assert outcome.result is Result.REFUSED
    assert outcome.reason == "everywhere has the mode Global, in which the number of tasks is not chosen"


def test_what_is_not_there_or_was_never_updated_is_refused(service: Service, ask: Ask) -> None:
    assert ask("swarm_scale", "nothing", to=3).reason == "there is no Swarm service nothing"
    assert "was never updated" in ask("swarm_rollback", service.id).reason
    assert "'to' is to be a number of replicas" in ask("swarm_scale", service.id).reason


def test_an_engine_outside_a_swarm_says_so(engine: PrivateEngine, tmp_path: Path) -> None:
    with asking(engine.host, tmp_path) as asked:
        outcome = asked("swarm_scale", "web", to=3)
    assert outcome.result is Result.REFUSED
    assert "no manager of a Swarm" in outcome.reason


def test_a_rival_that_never_rests_neither_hinders_nor_loses_anything(
    own_engine: PrivateEngine, service: Service, ask: Ask
) -> None:
    stop, written = threading.Event(), [0]
    rival = EngineClient(Endpoint(own_engine.host, "test"), timeout=CALL_SECONDS)

    def write() -> None:
        while not stop.wait(RIVAL_PAUSE_SECONDS):
            labels = {LABEL: "restart,scale", "written": str(written[0] + 1)}
            change(rival, str(service.id), partial(labelled, labels))
            written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for to in (1, 3, 2, 4):
            before = written[0]
            assert ask("swarm_scale", service.id, to=to).result is Result.DONE
            eventually(partial(_more_than, written, before), seconds=60)
    finally:
        stop.set()
        writer.join()
        rival.close()
    found = spec(service)
    assert found["Mode"] == {"Replicated": {"Replicas": 4}}
    assert found["Labels"] == {LABEL: "restart,scale", "written": str(written[0])}


def _state(service: Service, *states: str) -> None:
    service.reload()
    assert service.attrs.get("UpdateStatus", {}).get("State") in states


def labelled(labels: dict[str, str], found: SwarmService) -> Spec:
    return {**found.spec, "Labels": labels}


def _more_than(written: list[int], known: int) -> None:
    assert written[0] > known


def _environment(service: Service) -> list[str] | None:
    service.reload()
    environment: list[str] | None = service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env")
    return environment
