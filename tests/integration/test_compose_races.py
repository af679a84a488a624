"""Scaling among others and in spite of crashes: the number of replicas is right in the end.

Each test is a row of the third table in docs/compose-scaling.md.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

import compose_agent
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.verbs.compose.scale import ComposeScale
from compose_agent.dockerd.verbs.contract import Done, Failed, NeverSent
from compose_agent.dockerd.verbs.model import Result
from compose_agent.failpoints import KILLED_AT, VARIABLE
from lab.compose import Project
from lab.engine import PrivateEngine
from tests.integration.scaling import CALL_SECONDS, Shop, scaling, service, wish

pytestmark = [pytest.mark.engine, pytest.mark.lines]

NAME = "busy"
TARGET = f"{NAME}/web"
ROOT = Path(compose_agent.__file__).parent.parent
SOURCE = ROOT / "compose_agent/dockerd/verbs/compose/steps.py"
POINTS = re.findall(r'failpoint\("([^"]+)"\)', SOURCE.read_text())
GROWING = [point for point in POINTS if re.search("create|start", point)]
SHRINKING = [point for point in POINTS if re.search("stop|remove", point)]
TOGETHER = 6


@pytest.fixture(scope="module")
def module_shop(
    engine: PrivateEngine,
    busybox: str,  # noqa: ARG001 - is there
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("busy")
    networks: dict[str, Any] = {"front": {}, "back": {}}
    model = {"services": {"web": service(networks=["front", "back"])}, "networks": networks}
    with Project(engine, folder, NAME, model) as project:
        yield Shop(project, engine.host, folder)


@pytest.fixture
def shop(module_shop: Shop) -> Shop:
    """Return the project with one replica, as its file says."""
    module_shop.compose("up", "--detach")
    assert module_shop.replicas("web") == {"busy-web-1": "running"}
    return module_shop


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[EngineClient]:
    client = EngineClient(Endpoint(engine.host, "test"), timeout=CALL_SECONDS)
    yield client
    client.close()


def names(*numbers: int) -> dict[str, str]:
    return {f"busy-web-{number}": "running" for number in numbers}


def in_its_own_process(shop: Shop, folder: Path, to: int, failpoints: str = "") -> tuple[int, str]:
    """Ask for a number of replicas; return the exit code and what was printed."""
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "tests.integration.scaling", shop.host, str(folder), TARGET, str(to)],
        env=os.environ | {VARIABLE: failpoints, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    unexpected = [line for line in ended.stderr.splitlines() if not line.startswith(KILLED_AT)]
    assert not unexpected, ended.stderr
    return ended.returncode, ended.stdout


def test_all_fail_points_are_known() -> None:
    assert (GROWING, SHRINKING) == (
        ["scale.before-create", "scale.after-create", "scale.before-start", "scale.after-start"],
        ["scale.before-stop", "scale.before-remove", "scale.after-remove"],
    )


@pytest.mark.parametrize("point", [*GROWING, "scale.after-create:2", "scale.after-start:2"])
def test_killed_while_it_adds_it_ends_with_exactly_so_many(shop: Shop, tmp_path: Path, point: str) -> None:
    before = shop.ids("web")
    assert in_its_own_process(shop, tmp_path, 3, point) == (-signal.SIGKILL, "")
    assert in_its_own_process(shop, tmp_path, 3) == (0, "done")
    assert shop.replicas("web") == names(1, 2, 3)
    assert set(before) < set(shop.ids("web"))


@pytest.mark.parametrize("point", [*SHRINKING, "scale.before-remove:2"])
def test_killed_while_it_removes_it_ends_with_exactly_so_many(shop: Shop, tmp_path: Path, point: str) -> None:
    before = shop.ids("web")
    assert shop.scale("web", 3).result is Result.DONE
    assert in_its_own_process(shop, tmp_path, 1, point) == (-signal.SIGKILL, "")
    assert in_its_own_process(shop, tmp_path, 1) == (0, "done")
    assert shop.replicas("web") == names(1)
    assert shop.ids("web") == before


def test_six_at_once_end_with_exactly_so_many(shop: Shop, client: EngineClient) -> None:
    verb = ComposeScale()

    def scale(number: int) -> object:
        request = wish(TARGET, 4, id=f"together-{number}")
        facts = verb.prepare(client, request)
        verb.call(client, request, facts)
        return verb.observe(client, request, facts)

    with ThreadPoolExecutor(TOGETHER) as pool:
        seen = list(pool.map(scale, range(TOGETHER)))
    assert all(isinstance(each, Done) for each in seen), seen
    assert shop.replicas("web") == names(1, 2, 3, 4)


def test_a_name_that_another_container_has_is_left_out(
    shop: Shop, docker_client: docker.DockerClient, busybox: str
) -> None:
    other = docker_client.containers.create(busybox, ["true"], name="busy-web-2")
    try:
        assert shop.scale("web", 2).result is Result.DONE
        assert shop.replicas("web") == names(1, 3)
    finally:
        other.remove(force=True)


def test_a_clone_that_an_operator_has_removed_is_not_made_again(shop: Shop, client: EngineClient) -> None:
    verb, request = ComposeScale(), wish(TARGET, 2)
    facts = verb.prepare(client, request)
    verb.call(client, request, facts)
    shop.compose("up", "--detach")
    # Asked again, as after a crash: it sees that its clone ran and is gone.
    seen = verb.observe(client, request, facts)
    assert isinstance(seen, Failed)
    assert seen.reason == "somebody removed busy-web-2 again, and that is left as it is"
    verb.call(client, request, facts)
    assert shop.replicas("web") == names(1)


def test_what_an_operator_has_added_is_not_removed(shop: Shop, client: EngineClient) -> None:
    verb, request = ComposeScale(), wish(TARGET, 2)
    facts = verb.prepare(client, request)
    shop.compose("up", "--detach", "--scale", "web=3")
    seen = verb.observe(client, request, facts)
    assert isinstance(seen, Failed)
    assert "somebody else added busy-web-2, busy-web-3 meanwhile" in seen.reason
    verb.call(client, request, facts)
    assert shop.replicas("web") == names(1, 2, 3)


def test_what_an_operator_has_replaced_is_left_as_it_is(shop: Shop, client: EngineClient) -> None:
    verb, request = ComposeScale(), wish(TARGET, 2)
    facts = verb.prepare(client, request)
    assert isinstance(verb.observe(client, request, facts), NeverSent)
    shop.compose("up", "--detach", "--force-recreate")
    seen = verb.observe(client, request, facts)
    assert isinstance(seen, Failed)
    assert "somebody removed or replaced number 1 of busy/web meanwhile" in seen.reason
    verb.call(client, request, facts)
    assert shop.replicas("web") == names(1)


def test_the_same_request_again_does_not_undo_what_an_operator_did(shop: Shop, tmp_path: Path) -> None:
    for _ in range(2):
        with scaling(shop.host, tmp_path) as actor:
            assert actor.perform(wish(TARGET, 2)).result is Result.DONE
        shop.compose("up", "--detach")
        assert shop.replicas("web") == names(1)


def test_while_compose_scales_nothing_is_left_half_done(shop: Shop) -> None:
    compose = shop.project.start("up", "--detach", "--scale", "web=3")
    outcome = shop.scale("web", 3)
    compose.communicate()
    states = shop.replicas("web")
    assert set(states.values()) <= {"running", "created"}
    if compose.returncode == 0:
        # It began with a look of its own, and knows nothing of what came between: one too many at most.
        assert set(names(1, 2, 3)) <= set(states) <= set(names(1, 2, 3, 4)), (states, outcome)
    shop.compose("up", "--detach", "--scale", "web=3")
    assert shop.replicas("web") == names(1, 2, 3)
