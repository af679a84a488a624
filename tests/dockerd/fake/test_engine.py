"""The fake Engine's own promises, beyond those it shares with a real one."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from compose_agent.dockerd.fake import Behaviour, FakeEngine, ManualClock, Usage
from compose_agent.dockerd.fake.policy import next_backoff
from compose_agent.dockerd.fake.times import human_duration, parse_timestamp, rfc3339

PATIENCE_SECONDS = 10.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def client(engine: FakeEngine, version: str) -> docker.APIClient:
    return docker.APIClient(base_url=engine.url, version=version, timeout=PATIENCE_SECONDS)


def past(api: docker.APIClient, **options: Any) -> list[dict[str, Any]]:
    return list(api.events(since=1, until=f"{time.time():.6f}", decode=True, **options))


def test_the_last_256_events_are_kept() -> None:
    with FakeEngine() as engine:
        for number in range(200):
            engine.add_container(f"c{number}", running=False)
            engine.remove(f"c{number}")
        api = client(engine, "1.51")
        said = past(api)
        api.close()
    assert len(said) == 256
    assert said[-1]["Action"] == "destroy"
    times = [event["timeNano"] for event in said]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(("version", "legacy"), [("1.41", True), ("1.51", True), ("1.52", False)])
def test_events_lose_their_old_fields_with_api_1_52(version: str, legacy: bool) -> None:
    with FakeEngine(api_version="1.52", min_api_version="1.41") as engine:
        engine.add_container("web", running=False)
        api = client(engine, version)
        event = past(api)[0]
        api.close()
    assert ("status" in event, "id" in event, "from" in event) == (legacy, legacy, legacy)


def test_a_list_tells_health_from_api_1_52_on() -> None:
    with FakeEngine(api_version="1.52") as engine:
        engine.add_container("web", healthcheck=True)
        api = client(engine, "1.52")
        item = api.containers()[0]
        api.close()
    assert item["Health"] == {"Status": "starting", "FailingStreak": 0}


def test_an_engine_of_its_own_minimum_refuses_older_clients_in_json() -> None:
    with FakeEngine(api_version="1.52") as engine:
        api = client(engine, "1.41")
        with pytest.raises(docker.errors.APIError, match=r"Minimum supported API version is 1\.44"):
            api.info()
        api.close()


def test_health_comes_by_itself_when_the_behaviour_says_so() -> None:
    with FakeEngine() as engine:
        engine.add_container("web", behaviour=Behaviour(health="unhealthy", health_takes=0.01))
        until(lambda: engine.inspect("web")["State"]["Health"]["Status"] == "unhealthy")


def test_probes_leave_their_traces_and_reach_a_verdict_after_the_retries() -> None:
    with FakeEngine() as engine:
        engine.add_container("web", healthcheck=True)
        for code in (1, 1, 0, 1, 1, 1):
            engine.probe("web", code)
        health = engine.inspect("web")["State"]["Health"]
        api = client(engine, "1.51")
        verdicts = past(api, filters={"event": "health_status"})
        probes = past(api, filters={"event": "exec_create"})
        api.close()
    assert (health["Status"], health["FailingStreak"], len(health["Log"])) == ("unhealthy", 3, 5)
    assert [event["Action"] for event in verdicts] == ["health_status: healthy", "health_status: unhealthy"]
    assert len(probes) == 6


@pytest.mark.parametrize("version", ["1", "2"])
def test_stats_have_the_shape_of_the_hosts_cgroups(version: str) -> None:
    with FakeEngine(info={"CgroupVersion": version}) as engine:
        engine.add_container("web", host_config={"Memory": 2**26})
        engine.use("web", Usage(memory_bytes=1000, cache_bytes=24, network_rx_bytes=5, block_read_bytes=7))
        api = client(engine, "1.51")
        sample = api.stats("web", stream=False, one_shot=True)
        api.close()
    assert (sample["memory_stats"]["usage"], sample["memory_stats"]["limit"]) == (1024, 2**26)
    assert sample["networks"]["eth0"]["rx_bytes"] == 5
    assert sample["blkio_stats"]["io_service_bytes_recursive"][0]["value"] == 7
    assert ("percpu_usage" in sample["cpu_stats"]["cpu_usage"]) == (version == "1")


class TestManualClock:
    def test_back_off_and_stop_timeout_pass_at_a_call(self) -> None:
        clock = ManualClock()
        with FakeEngine(clock=clock) as engine:
            engine.add_container("loop", restart="always", behaviour=Behaviour(exit_after=1, exit_code=1))
            clock.advance(1)
            until(lambda: engine.inspect("loop")["State"]["Restarting"])
            clock.advance(0.09)
            assert engine.inspect("loop")["RestartCount"] == 1
            assert engine.inspect("loop")["State"]["Restarting"]
            clock.advance(0.02)
            until(lambda: not engine.inspect("loop")["State"]["Restarting"])

    def test_an_hour_is_an_hour_in_the_list(self) -> None:
        clock = ManualClock()
        with FakeEngine(clock=clock) as engine:
            engine.add_container("web")
            clock.advance(2 * 3600)
            api = client(engine, "1.51")
            assert api.containers()[0]["Status"] == "Up 2 hours"
            api.close()


def test_a_project_has_the_labels_of_compose() -> None:
    with FakeEngine() as engine:
        engine.add_project("shop", {"web": 2, "db": 1})
        labels = engine.inspect("shop-web-2")["Config"]["Labels"]
    assert labels["com.docker.compose.project"] == "shop"
    assert labels["com.docker.compose.container-number"] == "2"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (172_800, "2 days"),
        (1_209_600, "2 weeks"),
        (5_184_000, "2 months"),
        (63_072_000, "2 years"),
    ],
)
def test_durations_in_the_words_of_docker_ps(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (None, "0001-01-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_123_400_000, "2023-11-14T22:13:20.1234Z"),
    ],
)
def test_times_without_trailing_zeros(nanoseconds: int | None, text: str) -> None:
    assert rfc3339(nanoseconds) == text


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("", None), ("0", None), ("12", 12 * 10**9), ("12.5", 12_500_000_000), ("1.000000001", 1_000_000_001)],
)
def test_since_with_a_fraction(text: str, nanoseconds: int | None) -> None:
    assert parse_timestamp(text) == nanoseconds


def test_the_back_off_doubles_and_is_forgotten_after_a_steady_run() -> None:
    waits = [0.0]
    for _ in range(12):
        waits.append(next_backoff(waits[-1], 0.1))
    assert waits[1:5] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == 60
    assert next_backoff(60, 10) == 0.1


def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    command = [sys.executable, "-m", "compose_agent.dockerd.fake", "--socket", str(path)]
    with subprocess.Popen(
        [*command, "--containers", "3", "--api-version", "1.41"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"unix://{path}\n"
        api = docker.APIClient(base_url=f"unix://{path}", version="auto")
        assert (api.api_version, len(api.containers())) == ("1.41", 3)
        answer = api.get(api.base_url + "/_fake/requests")
        assert {"method": "GET", "path": "/containers/json", "count": 1} in json.loads(answer.content)
        api.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not path.exists()
