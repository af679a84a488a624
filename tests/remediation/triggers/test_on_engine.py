"""Events and probes on a real Engine: what really happens to containers, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import docker
import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.inventory import Inventory
from lab.busybox import ensure_image
from lab.engine import PrivateEngine
from lab.loopback import answers
from remediation.triggers.events import ContainerEvents
from remediation.triggers.probes.driver import Probes
from tests.dockerd.watched import until
from tests.remediation.triggers.told import Inbox, Memories

pytestmark = pytest.mark.engine

# Starts and stops on a loaded machine.
SECONDS = 60.0
HEALTHY_FILE = {
    "test": ["CMD", "test", "-e", "/tmp/well"],
    "interval": 10**9,
    "timeout": 5 * 10**9,
    "retries": 2,
}
SLEEP = ["sh", "-c", "touch /tmp/well; trap 'exit 0' TERM; while :; do sleep 0.1; done"]


@pytest.fixture
def inbox(engine: PrivateEngine) -> Iterator[Inbox]:
    """Be told of everything that happens on the session's Engine."""
    inbox = Inbox()
    client = EngineClient(Endpoint(engine.host, "test"))
    events = ContainerEvents(inbox.receive, Memories())
    inventory = Inventory(client, on_event=events.hear, since_ns=events.since_ns)
    inventory.start()
    events.start(inventory)
    assert inventory.wait_complete(SECONDS)
    yield inbox
    events.stop()
    inventory.stop()
    client.close()


def told(inbox: Inbox, name: str) -> list[str]:
    return [
        ("+" if each.firing else "-") + each.name.removeprefix("Container")
        for each in list(inbox.signals)
        if each.labels["name"] == name
    ]


def test_what_happens_is_told_and_what_somebody_does_is_not(
    docker_client: docker.DockerClient, busybox: str, inbox: Inbox
) -> None:
    def run(name: str, command: list[str], **more: object) -> docker.models.containers.Container:
        return docker_client.containers.run(busybox, command, name=f"told-{name}", detach=True, **more)

    crashed = run("crashed", ["sh", "-c", "exit 3"])
    done = run("done", ["true"])
    stopped, killed, restarted = (run(name, SLEEP) for name in ("stopped", "killed", "restarted"))
    sick = run("sick", SLEEP, healthcheck=HEALTHY_FILE)
    loop = run("loop", ["sh", "-c", "exit 1"], restart_policy={"Name": "always"})
    try:
        stopped.stop(timeout=5)
        killed.kill()
        restarted.restart(timeout=5)
        until(lambda: told(inbox, "told-crashed") == ["+Died"], SECONDS)
        until(lambda: "+RestartLoop" in told(inbox, "told-loop"), SECONDS)
        sick.exec_run(["rm", "/tmp/well"])
        until(lambda: told(inbox, "told-sick") == ["+Unhealthy"], SECONDS)
        sick.restart(timeout=5)
        until(lambda: told(inbox, "told-sick") == ["+Unhealthy", "-Unhealthy"], SECONDS)
        for quiet in (done, stopped, killed, restarted):
            assert told(inbox, str(quiet.name)) == []
        signal = next(each for each in inbox.signals if each.labels["name"] == "told-crashed")
        assert signal.labels["exit_code"] == "3"
        assert signal.labels["id"] == crashed.short_id
        assert signal.received_at - signal.starts_at < SECONDS
    finally:
        for each in (crashed, done, stopped, killed, restarted, sick, loop):
            each.remove(force=True)
    until(lambda: told(inbox, "told-crashed") == ["+Died", "-Died"], SECONDS)
    until(lambda: "-RestartLoop" in told(inbox, "told-loop"), SECONDS)


def test_a_kill_for_memory_is_told_of_the_container_and_of_a_child(
    docker_client: docker.DockerClient, busybox: str, inbox: Inbox
) -> None:
    eat = "x=a; while :; do x=$x$x$x$x; done"
    limit = {"mem_limit": "16m", "memswap_limit": "16m", "detach": True}
    whole = docker_client.containers.run(busybox, ["sh", "-c", eat], name="oom-whole", **limit)
    child = docker_client.containers.run(
        busybox, ["sh", "-c", f"(sleep 1; {eat}) & sleep 600"], name="oom-child", **limit
    )
    try:
        until(lambda: set(told(inbox, "oom-whole")) == {"+OOM", "+Died"}, SECONDS)
        until(lambda: told(inbox, "oom-child") == ["+ChildOOM"], SECONDS)
    finally:
        whole.remove(force=True)
        child.remove(force=True)
    until(lambda: told(inbox, "oom-child") == ["+ChildOOM", "-ChildOOM"], SECONDS)


@pytest.fixture(scope="module")
def near_engine(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """Start an Engine whose containers can be reached from here."""
    with PrivateEngine(request.config.getoption("--engine-line"), share_network=True) as engine:
        yield engine


def test_a_server_in_a_container_is_probed_at_its_address(near_engine: PrivateEngine) -> None:
    docker_client = docker.DockerClient(base_url=near_engine.host, timeout=SECONDS)
    client = EngineClient(Endpoint(near_engine.host, "test"))
    inventory, inbox = Inventory(client), Inbox()
    probes = Probes(inventory, client.inspect, inbox.receive, Memories())
    quick = {"initial-delay": "1s", "period": "300ms", "timeout": "5s", "http": "8080/well", "tcp": "8080"}
    web = docker_client.containers.run(
        ensure_image(docker_client),
        ["sh", "-c", "mkdir /www; touch /www/well; exec httpd -f -p 8080 -h /www"],
        name="probed",
        labels={f"compose-agent.probe.{key}": text for key, text in quick.items()},
        detach=True,
    )
    try:
        web.reload()
        (network,) = web.attrs["NetworkSettings"]["Networks"].values()
        until(lambda: answers(f"http://{network['IPAddress']}:8080/well"), SECONDS)
        inventory.start()
        probes.start()
        time.sleep(3)
        assert inbox.signals == []
        web.exec_run(["rm", "/www/well"])
        until(lambda: inbox.told() == ["+ContainerProbeFailed"], SECONDS)
        assert "it answered 404" in inbox.signals[0].annotations["summary"]
        until(lambda: probes.failing == {web.id}, SECONDS)
        web.exec_run(["touch", "/www/well"])
        until(lambda: inbox.told() == ["+ContainerProbeFailed", "-ContainerProbeFailed"], SECONDS)
    finally:
        probes.stop()
        inventory.stop()
        client.close()
        web.remove(force=True)
        docker_client.close()
