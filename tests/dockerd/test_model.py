"""Containers and Engines out of the Engine's JSON."""

from datetime import UTC, datetime
from typing import Any

import pytest

from compose_agent.dockerd.model import (
    STATES,
    Container,
    Engine,
    container_from_inspect,
    engine_from_json,
    parse_time,
)
from compose_agent.errors import EngineGarbage

ID = "ab" * 32
NEVER = "0001-01-01T00:00:00Z"
STARTED = "2026-11-22T18:39:07.08414308Z"


def inspect(**parts: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of inspect as Engine 20.10 gives it, with parts of its State, Config, HostConfig."""
    state = {
        "Status": "running",
        "Running": True,
        "OOMKilled": False,
        "Pid": 123,
        "ExitCode": 0,
        "StartedAt": STARTED,
        "FinishedAt": NEVER,
    }
    return {
        "Id": ID,
        "Created": "2026-11-22T18:39:06.5Z",
        "Name": "/web",
        "Image": "sha256:1",
        "RestartCount": 0,
        "State": {**state, **parts.get("state", {})},
        "Config": {"Image": "nginx:1", "Labels": {"a": "b"}, **parts.get("config", {})},
        "HostConfig": {"NetworkMode": "shop_default", **parts.get("host", {})},
        **parts.get("top", {}),
    }


def container(**parts: dict[str, Any]) -> Container:
    return container_from_inspect(inspect(**parts))


def test_a_container_is_read_from_inspect() -> None:
    assert container() == Container(
        id=ID,
        name="web",
        image="nginx:1",
        image_id="sha256:1",
        state="running",
        pid=123,
        created_at=datetime(2026, 11, 22, 18, 39, 6, 500_000, UTC).timestamp(),
        started_at=datetime(2026, 11, 22, 18, 39, 7, 84_143, UTC).timestamp(),
        network_mode="shop_default",
        labels={"a": "b"},
    )


def test_two_readings_of_the_same_answer_are_equal() -> None:
    assert container() == container()


@pytest.mark.parametrize("status", STATES)
def test_a_state_of_docker_is_kept(status: str) -> None:
    assert container(state={"Status": status}).state == status


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("configured", "created"),
        ("initialized", "created"),
        ("stopping", "running"),
        ("stopped", "exited"),
        ("unknown", "dead"),
        ("", "dead"),
    ],
)
def test_a_state_of_podman_is_the_nearest_of_dockers(status: str, state: str) -> None:
    assert container(state={"Status": status}).state == state


@pytest.mark.parametrize(
    ("status", "code", "finished", "expected"),
    [
        ("created", 0, NEVER, None),
        ("created", 127, NEVER, None),
        ("running", 0, NEVER, None),
        ("running", 0, STARTED, None),
        ("paused", 0, STARTED, None),
        ("restarting", 3, STARTED, 3),
        ("exited", 0, STARTED, 0),
        ("exited", 137, STARTED, 137),
        ("dead", 255, STARTED, 255),
        ("exited", 3, NEVER, None),
        ("stopped", 7, STARTED, 7),
    ],
)
def test_the_exit_code_is_that_of_the_last_run_once_it_ended(
    status: str, code: int, finished: str, expected: int | None
) -> None:
    state = {"Status": status, "ExitCode": code, "FinishedAt": finished}
    assert container(state=state).exit_code == expected


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        ({}, "none"),
        ({"Health": None}, "none"),
        ({"Health": {"Status": "none"}}, "none"),
        ({"Health": {"Status": ""}}, "none"),
        ({"Health": {"Status": "starting"}}, "starting"),
        ({"Health": {"Status": "healthy"}}, "healthy"),
        ({"Health": {"Status": "unhealthy", "Log": []}}, "unhealthy"),
        ({"Health": {"Status": "splendid"}}, "none"),
        ({"Healthcheck": {"Status": "healthy"}}, "healthy"),
    ],
)
def test_health_is_one_of_four(health: dict[str, Any], expected: str) -> None:
    assert container(state={"Status": "running", **health}).health == expected


@pytest.mark.parametrize("status", ["created", "paused", "restarting", "removing", "exited", "dead"])
def test_only_a_running_container_has_health(status: str) -> None:
    assert container(state={"Status": status, "Health": {"Status": "unhealthy"}}).health == "none"


@pytest.mark.parametrize(
    ("host", "cores"),
    [
        ({}, None),
        ({"NanoCpus": 0, "CpuQuota": 0, "CpuPeriod": 0}, None),
        ({"NanoCpus": 1_500_000_000}, 1.5),
        ({"CpuQuota": 50_000, "CpuPeriod": 0}, 0.5),
        ({"CpuQuota": 50_000, "CpuPeriod": 25_000}, 2.0),
        ({"CpuQuota": -1, "CpuPeriod": 100_000}, None),
        ({"CpuQuota": None, "NanoCpus": None}, None),
    ],
)
def test_the_cpu_limit_is_in_cores(host: dict[str, Any], cores: float | None) -> None:
    assert container(host=host).cpu_limit_cores == cores


@pytest.mark.parametrize(
    ("host", "memory", "pids"),
    [
        ({}, None, None),
        ({"Memory": 0, "PidsLimit": 0}, None, None),
        ({"Memory": -1, "PidsLimit": -1}, None, None),
        ({"Memory": None, "PidsLimit": None}, None, None),
        ({"Memory": 67108864, "PidsLimit": 100}, 67108864, 100),
        ({"Memory": 2**63 - 1}, 2**63 - 1, None),
    ],
)
def test_limits_that_are_not_set_are_none(host: dict[str, Any], memory: int | None, pids: int | None) -> None:
    assert (container(host=host).memory_limit_bytes, container(host=host).pids_limit) == (memory, pids)


@pytest.mark.parametrize(
    ("mode", "own"),
    [
        ("default", True),
        ("bridge", True),
        ("none", True),
        ("shop_default", True),
        ("hosting", True),
        ("slirp4netns", True),
        ("host", False),
        ("container:" + "1" * 64, False),
        ("ns:/run/netns/x", False),
        ("", True),
    ],
)
def test_only_a_network_of_its_own_counts(mode: str, own: bool) -> None:
    assert container(host={"NetworkMode": mode}).owns_network is own


def test_compose_labels_say_project_service_and_number() -> None:
    labels = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "2",
        "com.docker.compose.oneoff": "True",
    }
    one = container(config={"Labels": labels})
    assert (one.compose_project, one.compose_service, one.compose_number, one.one_off) == (
        "shop",
        "web",
        "2",
        True,
    )
    other = container(config={"Labels": None})
    assert (other.compose_project, other.compose_service, other.compose_number, other.one_off) == (
        "",
        "",
        "",
        False,
    )


def test_labels_are_text_whatever_the_engine_says() -> None:
    assert container(config={"Labels": {"a": 5, "b": None}}).labels == {"a": "5", "b": "None"}


@pytest.mark.parametrize(
    ("state", "pid", "alive"),
    [
        ("running", 1, True),
        ("paused", 1, True),
        ("running", 0, False),
        ("restarting", 1, False),
        ("exited", 0, False),
    ],
)
def test_it_is_alive_with_a_process(state: str, pid: int, alive: bool) -> None:
    assert container(state={"Status": state, "Pid": pid}).alive is alive


@pytest.mark.parametrize(
    "raw",
    [
        {},
        [],
        {"Id": ID},
        inspect(top={"State": None}),
        inspect(top={"State": []}),
        inspect(top={"Config": "x"}),
        inspect(state={"Pid": "many"}),
        inspect(state={"Pid": 1e999}),
        inspect(state={"StartedAt": "yesterday"}),
        inspect(state={"StartedAt": 5}),
        inspect(state={"Status": []}),
        inspect(state={"Health": "good"}),
        inspect(config={"Labels": ["a", "b"]}),
        inspect(host={"RestartPolicy": "always"}),
    ],
)
def test_what_is_no_container_is_garbage(raw: Any) -> None:
    with pytest.raises(EngineGarbage, match="not a container"):
        container_from_inspect(raw)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        (NEVER, None),
        ("0001-01-01T00:00:00+00:00", None),
        ("0001-01-01T01:00:00+01:00", None),
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01T01:00:00+01:00", 1767225600.0),
        ("2026-01-01T00:00:00.25Z", 1767225600.25),
        ("2026-01-01T00:00:00.250000999Z", 1767225600.25),
    ],
)
def test_a_time_is_unix_seconds(text: str | None, seconds: float | None) -> None:
    assert parse_time(text) == seconds


INFO = {
    "ID": "X:Y",
    "Name": "host1",
    "OperatingSystem": "Debian",
    "KernelVersion": "6.1",
    "Architecture": "x86_64",
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "Driver": "overlay2",
    "DockerRootDir": "/var/lib/docker",
    "NCPU": 2,
    "MemTotal": 1024,
}


@pytest.mark.parametrize(
    ("components", "product"),
    [(None, "docker"), ([{"Name": "Engine"}], "docker"), ([{"Name": "Podman Engine"}], "podman")],
)
def test_an_engine_is_read_from_info_and_version(components: Any, product: str) -> None:
    version = {"Version": "28.5.2", "ApiVersion": "1.51", "Components": components}
    assert engine_from_json(INFO, version) == Engine(
        id="X:Y",
        name="host1",
        product=product,
        version="28.5.2",
        api_version="1.51",
        os="Debian",
        kernel="6.1",
        architecture="x86_64",
        cgroup_version="2",
        cgroup_driver="systemd",
        storage_driver="overlay2",
        root_dir="/var/lib/docker",
        cpus=2,
        memory_bytes=1024,
    )


def test_an_engine_that_says_nothing_has_cgroup_v1() -> None:
    assert engine_from_json({}, {}) == Engine(cgroup_version="1")


@pytest.mark.parametrize(
    ("info", "version"),
    [({"NCPU": "two"}, {}), ({"MemTotal": 1e999}, {}), ({}, {"Components": ["x"]}), ([], {})],
)
def test_what_is_no_engine_is_garbage(info: Any, version: Any) -> None:
    with pytest.raises(EngineGarbage, match="not an Engine"):
        engine_from_json(info, version)
