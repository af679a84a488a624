from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.fake import Behaviour, FakeEngine, Fault
from compose_agent.dockerd.verbs import recreate
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.model import Result
from tests.dockerd.verbs.acting import OPTED_IN, acting, asked
from tests.dockerd.verbs.programs import perform

COMPOSE = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.config-hash": "abc",
}
POINTS = sorted(re.findall(r'failpoint\("([^"]+)"\)', Path(recreate.__file__).read_text()))
BACKWARD = {"recreate.after-discard", "recreate.after-rename-back", "recreate.after-start-back"}
# Killed there, the one who comes after cannot but come to the same end; elsewhere a second start may work.
FAILED_FOR_GOOD = BACKWARD - {"recreate.after-rename-back"}


@pytest.fixture(params=["1.41", "1.51"])
def engine(request: pytest.FixtureRequest) -> Iterator[FakeEngine]:
    with FakeEngine(api_version=request.param) as started:
        started.add_network("shop_default")
        started.add_network("shop_back")
        yield started
        started.clear_faults()


@pytest.fixture
def actor(engine: FakeEngine, tmp_path: Path) -> Iterator[LocalActor]:
    with acting(engine.url, tmp_path) as made:
        yield made


@pytest.fixture
def web(engine: FakeEngine) -> str:
    made = engine.add_container(
        "shop-web-1",
        labels=OPTED_IN | COMPOSE,
        network="shop_default",
        restart="always",
        config={
            "Env": ["A=1"],
            "Volumes": {"/data": {}},
            "StopTimeout": 3,
            "NetworkingConfig": {
                "EndpointsConfig": {
                    "shop_default": {"Aliases": ["shop-web-1", "web"]},
                    "shop_back": {"Aliases": ["api"]},
                }
            },
        },
        host_config={"Binds": ["/etc/shop:/etc/shop:ro", "named:/named"], "Memory": 2**26},
    )
    engine.core.store.container(made).networks["shop_default"]["Aliases"].append(made[:12])
    return made


def kept(engine: FakeEngine, reference: str) -> dict[str, Any]:
    """Return what has to be the same before and after."""
    shape = engine.inspect(reference)
    networks = shape["NetworkSettings"]["Networks"]
    config = {key: value for key, value in shape["Config"].items() if key != "Hostname"}
    mounts = sorted((each["Destination"], each["Source"], each["RW"]) for each in shape["Mounts"])
    host = {key: value for key, value in shape["HostConfig"].items() if key != "Binds"}
    aliases = {
        name: [each for each in endpoint["Aliases"] or () if each != shape["Id"][:12]]
        for name, endpoint in networks.items()
    }
    return {"name": shape["Name"], "config": config, "mounts": mounts, "host": host, "networks": aliases}


def names(engine: FakeEngine) -> list[str]:
    return sorted(one.name for one in engine.core.store.containers.values())


def test_it_is_another_one_and_the_same(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    before = kept(engine, web)
    outcome = actor.perform(asked("recreate", web))
    assert outcome.result is Result.DONE, outcome
    new = engine.inspect("shop-web-1")
    assert new["Id"] == outcome.details["id"] != web
    assert new["State"]["Running"]
    assert new["Config"]["Hostname"] == new["Id"][:12]
    assert kept(engine, "shop-web-1") == before
    assert names(engine) == ["shop-web-1"]
    # The volume without a name is still there, though its container is gone.
    assert len(engine.core.store.volumes) == 2


def test_one_that_has_ended_is_made_anew_and_started(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    actor._client.stop(web, 0, timeout=5)
    assert actor.perform(asked("recreate", web)).result is Result.DONE
    assert engine.inspect("shop-web-1")["State"]["Running"]


START_FAILS = Fault("POST /containers/*/start", "error", times=1, status=500, message="port is taken")


def test_the_old_one_comes_back_when_the_new_one_does_not_start(
    engine: FakeEngine, actor: LocalActor, web: str
) -> None:
    engine.add_fault(START_FAILS)
    outcome = actor.perform(asked("recreate", web))
    assert outcome.result is Result.FAILED
    assert "port is taken" in outcome.reason
    assert names(engine) == ["shop-web-1"]
    assert engine.inspect(web)["Name"] == "/shop-web-1"
    assert engine.inspect(web)["State"]["Running"]
    assert len(engine.core.store.volumes) == 2


def test_what_did_not_run_does_not_run_when_it_comes_back(
    engine: FakeEngine, actor: LocalActor, web: str
) -> None:
    actor._client.stop(web, 0, timeout=5)
    engine.add_fault(START_FAILS)
    assert actor.perform(asked("recreate", web)).result is Result.FAILED
    assert names(engine) == ["shop-web-1"]
    assert not engine.inspect(web)["State"]["Running"]


def test_a_way_back_that_is_blocked_is_tried_again(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.add_fault(START_FAILS)
    engine.add_fault(Fault("POST /containers/*/rename", "slow", times=2, seconds=0))
    engine.add_fault(Fault("POST /containers/*/rename", "error", times=1, status=500))
    outcome = actor.perform(asked("recreate", web))
    assert outcome.result is Result.FAILED
    assert engine.inspect("shop-web-1")["Id"] == web
    assert engine.inspect(web)["State"]["Running"]


@pytest.mark.parametrize("route", ["create", "*/stop", "*/rename", "*/start", "*"])
@pytest.mark.parametrize("acts", [True, False])
def test_a_lost_answer_to_any_step_is_made_good(
    engine: FakeEngine, actor: LocalActor, web: str, route: str, acts: bool
) -> None:
    method = "DELETE" if route == "*" else "POST"
    engine.add_fault(Fault(f"{method} /containers/{route}", "reset", times=1, acts=acts))
    before = kept(engine, web)
    assert actor.perform(asked("recreate", web)).result is Result.DONE
    assert kept(engine, "shop-web-1") == before
    assert names(engine) == ["shop-web-1"]


@pytest.mark.parametrize("engine", ["1.51"], indirect=True)
@pytest.mark.parametrize("point", POINTS)
def test_killed_between_any_two_steps_it_is_gone_on_with(
    engine: FakeEngine, tmp_path: Path, web: str, point: str
) -> None:
    before = kept(engine, web)
    if point in BACKWARD:
        engine.add_fault(START_FAILS)
    assert perform(engine, tmp_path, web, point, verb="recreate")[0] == -signal.SIGKILL
    code, said = perform(engine, tmp_path, web, verb="recreate")
    assert code == 0
    assert said == ("failed" if point in FAILED_FOR_GOOD else "done")
    assert kept(engine, "shop-web-1") == before
    assert engine.inspect("shop-web-1")["State"]["Running"]
    assert names(engine) == ["shop-web-1"]


def test_the_old_ones_stop_is_waited_for(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.behave(web, Behaviour(ignores_term=True))
    engine.add_fault(Fault("POST /containers/*/stop", "reset", times=1, acts=True))
    assert actor.perform(asked("recreate", web, timeout=1)).result is Result.DONE
    assert engine.requests()[f"POST /containers/{web}/stop"] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host_config": {"AutoRemove": True}}, "removes itself when it stops"),
        ({"labels": OPTED_IN | {"com.docker.swarm.task.id": "x"}}, "belongs to Swarm"),
    ],
)
def test_what_is_not_ours_to_make_again_is_refused(
    engine: FakeEngine, actor: LocalActor, options: dict[str, Any], words: str
) -> None:
    made = engine.add_container("other", **({"labels": OPTED_IN} | options))
    outcome = actor.perform(asked("recreate", made))
    assert outcome.result is Result.REFUSED
    assert words in outcome.reason


def test_one_whose_network_others_share_is_refused(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.add_container("sidecar", network=f"container:{web}")
    outcome = actor.perform(asked("recreate", web))
    assert outcome.reason.startswith("1 containers share the network of shop-web-1")
