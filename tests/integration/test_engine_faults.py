"""An Engine that dies, hangs, comes late or comes back: the exporter answers, says so, and recovers."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator

import docker
import pytest

from lab.agent import Agent
from lab.busybox import TAG, ensure_image
from lab.engine import PrivateEngine
from tests.dockerd.watched import RECOVERY_SECONDS
from tests.integration.metrics import Exposition, eventually

pytestmark = [pytest.mark.engine, pytest.mark.lines]

# The budget of a scrape that reads files; generous, because machines are shared.
ANSWER_SECONDS = 2.0
# One that hangs is seen within 4 s. The rest is what a loaded machine takes.
HANGING_SECONDS = 4.0 + 5.0


@pytest.fixture(scope="module")
def own_engine(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """Start an Engine that these tests may kill, with a few containers."""
    with PrivateEngine(request.config.getoption("--engine-line")) as engine:
        client = docker.DockerClient(base_url=engine.host)
        tag = ensure_image(client)
        for n in range(4):
            client.containers.run(
                tag, ["sleep", "6000"], name=f"steady-{n}", restart_policy={"Name": "always"}, detach=True
            )
        client.close()
        yield engine


@pytest.fixture
def own_agent(own_engine: PrivateEngine) -> Iterator[Agent]:
    """Run an exporter that has seen the containers."""
    with Agent(own_engine.host) as agent:
        agent.wait_ready()
        yield agent


def expect_up(agent: Agent, value: int, running: int | None = None) -> None:
    scrape = Exposition.of(agent)
    assert scrape.value("docker_up") == value
    if running is not None:
        assert scrape.value("docker_containers", state="running") == running


def test_a_killed_engine_is_down_at_once_and_up_again_within_five_seconds(
    own_engine: PrivateEngine, own_agent: Agent
) -> None:
    own_engine.kill()
    eventually(lambda: expect_up(own_agent, 0), seconds=1)
    assert own_agent.readiness().reasons
    own_engine.restart()
    eventually(lambda: expect_up(own_agent, 1, running=4), seconds=RECOVERY_SECONDS)
    own_agent.wait_ready()


def test_a_hanging_engine_is_down_and_files_are_read_on(own_engine: PrivateEngine, own_agent: Agent) -> None:
    own_engine.freeze()
    try:
        eventually(lambda: expect_up(own_agent, 0), seconds=HANGING_SECONDS)
        scrape = Exposition.of(own_agent)
        assert scrape.value("docker_exporter_usage_containers", source="cgroup") == 4
        assert scrape.state("steady-0") == "running"
    finally:
        own_engine.thaw()
    eventually(lambda: expect_up(own_agent, 1, running=4), seconds=RECOVERY_SECONDS)


def test_what_happened_while_the_engine_was_away_is_seen(own_engine: PrivateEngine, own_agent: Agent) -> None:
    own_engine.kill()
    eventually(lambda: expect_up(own_agent, 0), seconds=1)
    own_engine.restart()
    client = docker.DockerClient(base_url=own_engine.host)
    try:
        extra = client.containers.run(TAG, ["sh", "-c", "exit 7"], name="extra", detach=True)
        extra.wait()

        def check() -> None:
            assert Exposition.of(own_agent).value("docker_container_exit_code", name="extra") == 7

        eventually(check, seconds=RECOVERY_SECONDS)
        extra.remove()
    finally:
        client.close()


def test_an_engine_that_comes_later_is_waited_for(own_engine: PrivateEngine) -> None:
    own_engine.kill()
    with Agent(own_engine.host) as agent:
        expect_up(agent, 0)
        agent.wait_until(lambda: any("no Engine" in each for each in agent.readiness().reasons))
        own_engine.restart()
        eventually(lambda: expect_up(agent, 1, running=4), seconds=RECOVERY_SECONDS)


def test_scrapes_are_answered_through_kills_and_hangs_under_load(
    own_engine: PrivateEngine, own_agent: Agent
) -> None:
    durations: list[float] = []
    failures: list[OSError] = []
    stop = threading.Event()

    def scrape() -> None:
        while not stop.is_set():
            started, text = time.monotonic(), ""
            try:
                text = own_agent.get()
            except OSError as error:
                failures.append(error)
            durations.append(time.monotonic() - started)
            # Reading it is the test's own time.
            Exposition(text)

    threads = [threading.Thread(target=scrape) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            own_engine.freeze()
            time.sleep(1)
            own_engine.thaw()
            own_engine.kill()
            time.sleep(0.5)
            own_engine.restart()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert statistics.quantiles(durations, n=100)[98] < ANSWER_SECONDS
    eventually(lambda: expect_up(own_agent, 1, running=4), seconds=RECOVERY_SECONDS)
