"""Which containers are read, and which container the agent itself runs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compose_agent.address import Address
from compose_agent.dockerd.model import Container
from log_forwarder.selection import (
    IMAGE_LABEL,
    IMAGE_TITLE,
    LOGS_LABEL,
    Selection,
    SelectionSettings,
    own_container_id,
)

OWN = "0a" * 32
ID = "ab" * 32
OTHER = "cd" * 32
ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = {"com.docker.compose.project": "ops", "com.docker.compose.service": "agent"}


def container(name: str = "web", **given: Any) -> Container:
    return Container(
        **{"id": ID, "name": name, "image": "nginx:1", "image_id": "", "state": "running", **given}
    )


def sinks(*words: str) -> Selection:
    return Selection(own_id=OWN, sinks=tuple(map(Address.parse, words)))


def test_a_container_is_read_by_default() -> None:
    assert Selection().reason_against(container()) is None
    assert sinks("fluentd:24224").reason_against(container()) is None


@pytest.mark.parametrize("text", ["false", "no", "off", "0", " False "])
def test_a_container_opts_out_by_its_label(text: str) -> None:
    reason = Selection().reason_against(container(labels={LOGS_LABEL: text}))
    assert reason == "its label compose-agent.logs is false"


@pytest.mark.parametrize("text", ["true", "", "fasle"])
def test_another_value_of_the_label_opts_nobody_out(text: str) -> None:
    assert Selection().reason_against(container(labels={LOGS_LABEL: text})) is None


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        (SelectionSettings(include=("web*", "db")), {"web-1", "db"}),
        (SelectionSettings(exclude=("web*",)), {"db", "Web-2"}),
        (SelectionSettings(include=("*-?",), exclude=("Web*",)), {"web-1"}),
        (SelectionSettings(projects=("shop",)), {"web-1", "Web-2"}),
        (SelectionSettings(projects=("shop",), exclude=("web-1",)), {"Web-2"}),
    ],
)
def test_names_and_projects_are_chosen_by_settings(settings: SelectionSettings, read: set[str]) -> None:
    shop = {"com.docker.compose.project": "shop"}
    containers = [container("web-1", labels=shop), container("Web-2", labels=shop), container("db")]
    selection = Selection(settings)
    assert {each.name for each in containers if selection.reason_against(each) is None} == read


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (SelectionSettings(include=("db",)), "its name is not among those to include"),
        (SelectionSettings(exclude=("web",)), "its name is among those to exclude"),
        (SelectionSettings(projects=("shop",)), "its Compose project is not among those to include"),
    ],
)
def test_a_reason_of_the_settings_is_given_also_when_the_label_asks(
    settings: SelectionSettings, reason: str
) -> None:
    selection = Selection(settings)
    assert selection.reason_against(container()) == reason
    assert selection.reason_against(container(labels={LOGS_LABEL: "true"})) == reason


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (container(id=OWN), "it is the agent's own"),
        (container(labels={IMAGE_LABEL: IMAGE_TITLE}), "it runs the agent's image"),
        (container("fluentd"), "it is the sink fluentd:24224"),
        (container("shop-fluentd-1", addresses=("172.18.0.2", "fluentd")), "it is the sink fluentd:24224"),
    ],
)
def test_what_would_be_a_loop_is_not_read_unless_its_label_asks(own: Container, reason: str) -> None:
    selection = sinks("other:1", "fluentd:24224")
    assert selection.reason_against(own) == reason
    labels = {**own.labels, LOGS_LABEL: "true"}
    asked = container(own.name, id=own.id, labels=labels, addresses=own.addresses)
    assert selection.reason_against(asked) is None


@pytest.mark.parametrize(
    "sink",
    [
        "172.18.0.2:9200",
        "[2001:DB8:0::2]:9200",
        "Search:9200",
        "search.:9200",
        "shop-search-1:9200",
        f"{ID[:12]}:9200",
        f"{ID}:9200",
        "127.0.0.1:9201",
        "127.0.1.1:9201",
        "[::1]:9201",
        "localhost:9201",
        "host.docker.internal:9201",
        ":9201",
    ],
)
def test_a_sink_is_recognised_by_every_way_to_it(sink: str) -> None:
    search = container(
        "shop-search-1", addresses=("172.18.0.2", "2001:db8::2", "search"), published_ports=(9201,)
    )
    assert sinks(sink).reason_against(search) == f"it is the sink {Address.parse(sink)}"


@pytest.mark.parametrize(
    "sink", ["172.18.0.22:9200", "searching:9200", "localhost:9200", "10.0.0.1:9201", ":9200"]
)
def test_a_container_beside_a_sink_is_read(sink: str) -> None:
    search = container("search", addresses=("172.18.0.2",), published_ports=(9201,))
    assert sinks(sink).reason_against(search) is None


def test_a_container_without_a_name_is_no_sink() -> None:
    assert sinks(":24224").reason_against(container("")) is None


def test_replicas_of_the_own_service_are_recognised_once_the_own_container_is_known() -> None:
    replica = container("ops-agent-2", labels=COMPOSE)
    before = sinks()
    assert before.reason_against(replica) is None
    assert before.knowing(replica) is before
    after = before.knowing(container(id=OWN, labels=COMPOSE))
    assert after.reason_against(replica) == "it is the agent's own"
    assert after.knowing(container(id=OWN, labels=COMPOSE)) is after


def test_outside_compose_no_service_is_the_agents_own() -> None:
    selection = sinks().knowing(container(id=OWN))
    assert selection.reason_against(container()) is None


def test_the_image_has_the_label_by_which_it_is_recognised() -> None:
    assert f'{IMAGE_LABEL}="{IMAGE_TITLE}"' in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def mount(root: str, point: str) -> str:
    return f"711 700 254:1 {root} {point} rw,relatime - ext4 /dev/vda1 rw"


HOSTNAME = mount(f"/var/lib/docker/containers/{ID}/hostname", "/etc/hostname")


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "own"),
    [
        ("0::/", HOSTNAME, ID),
        ("0::/", mount(f"/containers/{ID}/resolv.conf", "/etc/resolv.conf"), ID),
        (
            "0::/",
            mount(f"/storage/overlay-containers/{ID}/userdata/hosts", "/etc/hosts"),
            ID,
        ),
        ("4:memory:/docker/" + ID, "", ID),
        ("0::/system.slice/docker-" + ID + ".scope", "", ID),
        ("0::/system.slice/docker-" + OTHER + ".scope/docker/" + ID, "", ID),
        ("4:memory:/docker/" + OTHER, HOSTNAME, ID),
        ("0::/system.slice/compose-agent.service", mount("/", "/"), None),
        ("0::/user.slice", mount("/", f"/var/lib/docker/containers/{ID}/mounts/shm"), None),
        ("0::/", mount(f"/var/lib/docker/containers/{OTHER}/hostname", "/mnt/hostname"), None),
        ("0::/" + ID + "ff", "", None),
        ("0::/", "short line", None),
        (None, None, None),
    ],
)
def test_the_own_container_is_found_in_every_kind_of_namespace(
    tmp_path: Path, cgroup: str | None, mountinfo: str | None, own: str | None
) -> None:
    for name, text in (("cgroup", cgroup), ("mountinfo", mountinfo)):
        if text is not None:
            (tmp_path / name).write_text(f"1:name=systemd:/\n{text}\n" if name == "cgroup" else f"{text}\n")
    assert own_container_id(tmp_path) == own
