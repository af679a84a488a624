"""The bundle with a manager and an agent beside it."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from lab.bundle import IMAGE, ROOT, Bundle
from lab.engine import PrivateEngine
from lab.loopback import free_port
from tests.bundle.model import OURS, config
from tests.fleet.manager.serving import until

pytestmark = pytest.mark.engine

FILES = ("docker-compose.yml", "compose/offline.yml", "compose/fleet.yml")
SERVICES = ("broker", "manager", "agent")
# Prometheus starts when what it scrapes runs.
STARTED = (*SERVICES, "prometheus")
CALL_SECONDS = 30
# An agent joins, asks for its certificate, and comes back with it.
JOIN_SECONDS = 120.0
# Some of the bundle's scrapes, on a loaded machine.
SCRAPE_SECONDS = 90.0
PORT = free_port()


@pytest.fixture(scope="module")
def fleet(
    builder: PrivateEngine, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bundle]:
    assert bundle.client.images.get(IMAGE)
    variables = {"MANAGER_PORT": str(PORT), "NODE_ID": "here", "NODE_ENVIRONMENT": "trial"}
    made = Bundle(builder, tmp_path_factory.mktemp("fleet"), name="fleet", files=FILES, variables=variables)
    with made:
        made.run(ROOT / "scripts" / "setup-fleet", made.secrets)
        made.up(*STARTED)
        yield made


def get(fleet: Bundle, path: str) -> bytes:
    trust = ssl.create_default_context(cafile=str(fleet.secrets / "fleet" / "ca.pem"))
    with urllib.request.urlopen(
        f"https://127.0.0.1:{PORT}{path}", timeout=CALL_SECONDS, context=trust
    ) as answer:
        body: bytes = answer.read()
        return body


def relayed(fleet: Bundle) -> bytes:
    """Return the exporter's metrics through the manager, nothing when a loaded host is too late with them."""
    try:
        return get(fleet, "/api/v1/nodes/here/metrics/exporter")
    except urllib.error.HTTPError as error:
        with error:
            if error.code != HTTPStatus.GATEWAY_TIMEOUT:
                raise
            return b""


def node(fleet: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(fleet, "/api/v1/nodes/here"))
    return found


def is_well(fleet: Bundle, part: str) -> bool:
    """Tell whether a part of the host has said that it is well; nothing is known of it before."""
    health = node(fleet).get("health") or {}
    return bool(health.get("parts", {}).get(part, {}).get("healthy"))


def test_the_overlay_adds_two_services_as_closed_as_the_others(tmp_path: Path) -> None:
    whole = config(tmp_path, ("docker-compose.yml", "compose/fleet.yml"))["services"]
    for name in ("manager", "agent"):
        service = whole[name]
        assert service["image"] == OURS
        assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "65532:65532")
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "docker.sock" not in str(service["volumes"])
    assert [port["host_ip"] for port in whole["manager"]["ports"]] == ["127.0.0.1"]


def test_the_host_is_in_the_table_with_its_roles_and_containers(fleet: Bundle) -> None:
    until(lambda: json.loads(get(fleet, "/api/v1/nodes"))["states"]["online"] == 1, JOIN_SECONDS)
    until(lambda: is_well(fleet, "exporter"), JOIN_SECONDS)
    assert node(fleet)["environment"] == "trial"

    def names() -> set[str]:
        return {each["service"] for each in json.loads(get(fleet, "/api/v1/nodes/here/containers"))}

    until(lambda: names() >= set(SERVICES), JOIN_SECONDS)
    page = get(fleet, "/").decode()
    assert "All of them are online." in page
    assert ">here</a>" in page


def test_its_exporter_is_a_target_and_answers_through_the_manager(fleet: Bundle) -> None:
    until(lambda: json.loads(get(fleet, "/api/v1/http_sd")), JOIN_SECONDS)
    (group,) = json.loads(get(fleet, "/api/v1/http_sd"))
    assert (group["labels"]["node_id"], group["labels"]["role"]) == ("here", "exporter")
    until(lambda: b"docker_container_state" in relayed(fleet), JOIN_SECONDS)


def test_prometheus_sees_the_manager_also_when_it_asks_who_is_there(fleet: Bundle) -> None:
    up = 'up{job="manager"}'
    fleet.prometheus.wait_for(f"{up} == 1", SCRAPE_SECONDS)
    fleet.prometheus.wait_for('fleet_node_state{node_id="here", state="online"} == 1', SCRAPE_SECONDS)
    known = ("docker", "compose", "exec", "--no-TTY", "manager", "compose-agent", "people", "add")
    fleet.run(*known, "anna", "--role=admin", given="a password of hers")
    fleet.prometheus.wait_for(f"{up} == 0", SCRAPE_SECONDS)
    password = (fleet.secrets / "prometheus-password").read_text(encoding="utf-8")
    fleet.run(*known, "prometheus", "--role=viewer", given=password)
    fleet.prometheus.wait_for(f"{up} == 1", SCRAPE_SECONDS)
