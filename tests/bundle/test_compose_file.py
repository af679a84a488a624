"""What the Compose file promises of every service, read as Compose reads it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bundle.model import OURS, ROOT, compose, config, docker

pytestmark = pytest.mark.engine

CORE = {"broker", "exporter", "logs", "remediation", "prometheus", "alertmanager", "grafana"}
SOCKET = "docker.sock"
# Of these the reason is told beside the service in the file.
ROOTS = {"broker", "logs", "logs-to-kafka", "logs-to-fluentd"}
CAPABLE = {"broker": ["SETGID", "SETUID"]}
# Their makers' start scripts write into folders of the image.
WRITABLE = {"kafka", "logstash", "elasticsearch", "kibana"}
_PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compose")


@pytest.fixture(scope="module")
def whole(scratch: Path) -> Any:
    return config(scratch)


@pytest.fixture(scope="module")
def services(whole: Any) -> dict[str, Any]:
    found: dict[str, Any] = whole["services"]
    return found


def test_without_a_profile_it_is_the_core(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if not service.get("profiles")} == CORE


def test_it_needs_neither_env_file_nor_engine_nor_anything_else_of_the_checkout(
    scratch: Path, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    done = compose(scratch, "config", "--quiet", files=(str(tmp_path / "docker-compose.yml"),))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_second_host_has_the_roles_alone_and_asks_everybody_for_a_password(scratch: Path) -> None:
    files = ("docker-compose.yml", "compose/second-host.yml")
    second = config(scratch, files, {"SECOND_HOST_ADDRESS": "10.0.0.2"})["services"]
    roles = {name: service for name, service in second.items() if not service.get("profiles")}
    assert set(roles) == {"broker", "exporter", "logs", "remediation"}
    published = {name: service for name, service in roles.items() if service.get("ports")}
    assert {port["host_ip"] for each in published.values() for port in each["ports"]} == {"10.0.0.2"}
    assert {secret["source"] for each in published.values() for secret in each["secrets"]} == {
        "remediation-web"
    }
    for name, variable in (("exporter", "EXPORTER"), ("logs", "LOGS")):
        given = roles[name]["environment"][f"COMPOSE_AGENT_{variable}_WEB_CONFIG_FILE"]
        assert given == "/run/secrets/remediation-web"


def test_the_stack_is_one_that_swarm_takes(scratch: Path) -> None:
    done = docker(scratch, "stack", "config", f"--compose-file={ROOT}/compose/swarm.yml")
    assert done.returncode == 0, done.stderr
    stack = yaml.safe_load(done.stdout)["services"]
    assert {name for name, service in stack.items() if service["deploy"].get("mode") == "global"} == {
        "broker",
        "exporter",
        "logs",
    }
    having = {name for name, service in stack.items() if SOCKET in str(service.get("volumes"))}
    assert having == {"broker"}


def test_offline_leaves_out_grafana_and_pulls_nothing(scratch: Path) -> None:
    offline = config(scratch, files=("docker-compose.yml", "compose/offline.yml"))["services"]
    core = {name: service for name, service in offline.items() if not service.get("profiles")}
    assert set(core) == CORE - {"grafana"}
    assert {service.get("pull_policy") for name, service in core.items() if name != "broker"} == {"never"}


def test_older_engines_are_asked_for_nothing_that_they_do_not_know(scratch: Path) -> None:
    older = config(scratch, files=("docker-compose.yml", "compose/engine-20.yml"))["services"]
    assert [name for name, service in older.items() if "start_interval" in service["healthcheck"]] == []


def test_every_service_is_hardened(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert sorted(service.get("cap_add", [])) == CAPABLE.get(name, []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only", False) is (name not in WRITABLE), name
        assert not service.get("privileged"), name
        assert service.get("network_mode") is None, name
        uid = service["user"].partition(":")[0]
        assert uid.isdigit(), name
        assert (uid == "0") is (name in ROOTS), name


def test_every_service_has_limits(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory", "pids"}, name
        assert service["logging"]["driver"] == "json-file", name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_every_service_is_checked_and_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["healthcheck"]["timeout"], name
        assert service["restart"] == "unless-stopped", name
        conditions = {each["condition"] for each in service.get("depends_on", {}).values()}
        assert conditions <= {"service_healthy"}, name


def test_only_the_broker_has_the_socket(services: dict[str, Any]) -> None:
    having = {
        name
        for name, service in services.items()
        if any(SOCKET in volume.get("source", "") for volume in service.get("volumes", []))
    }
    assert having == {"broker"}
    assert list(services["broker"]["networks"]) == ["broker"]


def test_the_broker_is_met_by_who_takes_its_metrics_and_traces_alone(whole: Any) -> None:
    assert whole["networks"]["broker"]["internal"] is True
    near = {name for name, service in whole["services"].items() if "broker" in service.get("networks", {})}
    assert near == {"broker", "prometheus", "otel-collector"}


def test_ports_are_for_this_host_alone(services: dict[str, Any]) -> None:
    published = {
        name: [port["host_ip"] for port in service.get("ports", [])] for name, service in services.items()
    }
    assert {address for addresses in published.values() for address in addresses} == {"127.0.0.1"}
    assert not published["broker"]


def test_images_are_pinned(services: dict[str, Any]) -> None:
    images = {service["image"] for service in services.values()}
    assert [image for image in images - {OURS} if not _PINNED.fullmatch(image)] == []
    table = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    assert [image for image in images - {OURS} if f"| `{image}` |" not in table] == []


def test_secrets_are_files_and_stand_nowhere_else(whole: Any) -> None:
    for name, secret in whole["secrets"].items():
        assert secret["file"].endswith(("secrets/" + name, f"secrets/{name}.yml")), name
    used = {each["source"] for service in whole["services"].values() for each in service.get("secrets", [])}
    assert used == set(whole["secrets"])
    for name, service in whole["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable):
                assert str(value).startswith("/run/secrets/"), (name, variable)


def test_what_is_mounted_from_the_checkout_is_there(services: dict[str, Any]) -> None:
    sources = {
        Path(volume["source"])
        for service in services.values()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind" and volume["source"].startswith(str(ROOT))
    }
    assert [path for path in sources if not path.exists()] == []


def test_every_variable_is_explained() -> None:
    files = [ROOT / "docker-compose.yml", ROOT / "compose" / "fleet.yml"]
    used = {name for file in files for name in re.findall(r"\$\{([A-Z_]+)", file.read_text(encoding="utf-8"))}
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    assert used - named == {"COMPOSE_PROJECT_NAME"}, "which Compose itself gives"
    assert named - used - {"COMPOSE_PROFILES", "COMPOSE_FILE"} == set()


def test_the_programs_take_the_configuration_files() -> None:
    for path in sorted((ROOT / "compose").rglob("*.yml")):
        yaml.safe_load(path.read_text(encoding="utf-8").replace("!reset", "").replace("!override", ""))


def test_scripts_can_be_run() -> None:
    for name in ("setup-secrets", "demo", "offline-images"):
        assert os.access(ROOT / "scripts" / name, os.X_OK)
