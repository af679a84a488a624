"""A container out of its folder's files."""

from typing import Any

import pytest

from compose_agent.dockerd.folders.model import container_from_folder, is_container_id, is_log
from compose_agent.dockerd.model import container_from_inspect
from compose_agent.errors import EngineGarbage
from tests.dockerd.folders.trees import ID, NEVER, STARTED, config, hostconfig

RUNNING = {"Running": True, "Pid": 123, "StartedAt": STARTED}
ENDED = {"Running": False, "Pid": 0, "StartedAt": STARTED, "FinishedAt": STARTED}


def test_a_container_is_read_from_its_two_files() -> None:
    container = container_from_folder(config(), hostconfig())
    assert (container.id, container.name, container.image) == (ID, "web", "nginx:1")
    assert (container.log_driver, container.log_options) == ("json-file", {"max-size": "10m"})
    assert (container.labels, container.tty, container.restart_count) == ({"a": "b"}, True, 1)
    assert container.addresses == ("172.18.0.2", "abababababab", "front")
    assert container.published_ports == (8080,)


def test_it_equals_what_the_engine_answers() -> None:
    whole = config()
    answer = {
        **whole,
        "Id": whole["ID"],
        "State": {**whole["State"], "Status": "running"},
        "HostConfig": hostconfig(),
    }
    assert container_from_folder(whole, hostconfig()) == container_from_inspect(answer)


def test_names_that_newer_engines_keep_apart_are_addresses_too() -> None:
    whole = config()
    whole["NetworkSettings"]["Networks"] = {
        "shop": {"Aliases": None, "DNSNames": ["web", "front"], "GlobalIPv6Address": "2001:db8::2"},
        "gone": None,
    }
    assert container_from_folder(whole, hostconfig()).addresses == (
        "2001:db8::2",
        "abababababab",
        "front",
        "web",
    )


def test_the_hosts_own_name_is_no_address_of_a_container_on_its_network() -> None:
    whole = config()
    whole["NetworkSettings"] = {"Networks": {"host": {"IPAddress": ""}}, "Ports": {}}
    assert container_from_folder(whole, {**hostconfig(), "NetworkMode": "host"}).addresses == ()


def test_ports_that_are_asked_for_are_known_before_the_start() -> None:
    whole = config()
    whole["NetworkSettings"]["Ports"] = {}
    asked = {
        "80/tcp": [{"HostPort": "8080"}, {"HostPort": "8000-8010"}],
        "81/tcp": [{"HostPort": ""}],
        "82/tcp": None,
    }
    assert container_from_folder(whole, {**hostconfig(), "PortBindings": asked}).published_ports == (8080,)


def test_a_container_without_networks_and_options_is_read() -> None:
    whole = config()
    del whole["NetworkSettings"]
    container = container_from_folder(whole, {})
    assert (container.log_options, container.published_ports) == ({}, ())


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (RUNNING, "running"),
        ({**RUNNING, "Paused": True}, "paused"),
        ({**RUNNING, "Restarting": True, "Pid": 0}, "restarting"),
        (ENDED, "exited"),
        ({**ENDED, "Dead": True, "RemovalInProgress": True}, "removing"),
        ({**ENDED, "Dead": True}, "dead"),
        ({"Running": False, "Pid": 0, "StartedAt": NEVER}, "created"),
    ],
)
def test_the_state_is_derived_as_the_engine_does(state: dict[str, Any], expected: str) -> None:
    whole = config()
    whole["State"] |= state
    assert container_from_folder(whole, hostconfig()).state == expected


def test_a_field_that_newer_engines_do_not_write_is_false() -> None:
    whole = config()
    whole["State"] |= ENDED
    del whole["State"]["RemovalInProgress"]
    assert container_from_folder(whole, hostconfig()).state == "exited"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        None,
        {"State": {}},
        {**config(), "State": None},
        {**config(), "State": []},
        {**config(), "Config": 3},
        {**config(), "State": {"StartedAt": "yesterday"}},
        {key: text for key, text in config().items() if key != "ID"},
    ],
)
def test_what_is_no_container_is_refused(wrong: Any) -> None:
    with pytest.raises(EngineGarbage, match="not a container"):
        container_from_folder(wrong, hostconfig())


@pytest.mark.parametrize("wrong", [["x"], 3, "x", {"LogConfig": 3}])
def test_a_wrong_hostconfig_is_refused(wrong: Any) -> None:
    with pytest.raises(EngineGarbage, match="not a container"):
        container_from_folder(config(), wrong)


@pytest.mark.parametrize(
    ("name", "log"),
    [
        (f"{ID}-json.log", True),
        (f"{ID}-json.log.1", True),
        (f"{ID}-json.log.2.gz", True),
        ("container.log", True),
        ("container-cached.log", True),
        ("container.log.1.gz.tmp", False),
        ("config.v2.json", False),
        (".tmp-config.v2.json123", False),
        ("hostconfig.json", False),
        ("hosts", False),
        ("hostname", False),
        ("resolv.conf", False),
        ("resolv.conf.hash", False),
        ("hash2389939624", False),
    ],
)
def test_logs_are_told_from_dockers_own_files(name: str, log: bool) -> None:
    assert is_log(name) is log


@pytest.mark.parametrize(
    ("name", "container"),
    [(ID, True), (ID[:-1], False), (ID.upper(), False), ("tmp", False), (ID + "\n", False)],
)
def test_folders_are_containers_by_their_names(name: str, container: bool) -> None:
    assert is_container_id(name) is container
