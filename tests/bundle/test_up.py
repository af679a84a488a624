"""The core on a fresh host: healthy in time, every target scraped, and nothing left behind at the end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.bundle import IMAGE, Bundle
from lab.engine import PrivateEngine
from tests.integration.metrics import eventually

pytestmark = pytest.mark.engine

HEALTHY_SECONDS = 60
# Prometheus scrapes for the first time within the first of its intervals.
SCRAPED_SECONDS = 60
_NAMELESS = re.compile(r"[0-9a-f]{64}")
CORE = {"broker", "exporter", "logs", "remediation", "alertmanager", "prometheus"}


def test_everything_is_healthy_within_a_minute(core: float, bundle: Bundle) -> None:
    print(f"all healthy after {core:.1f} s")  # noqa: T201 - shown with -rP
    assert core < HEALTHY_SECONDS
    states = {service: bundle.containers(service)[0].attrs["State"]["Health"]["Status"] for service in CORE}
    assert set(states.values()) == {"healthy"}


@pytest.mark.usefixtures("core")
def test_every_target_is_up(bundle: Bundle) -> None:
    def check() -> None:
        up = {sample.labels["job"]: sample.value for sample in bundle.prometheus.query("up")}
        assert up == dict.fromkeys(CORE, 1.0)

    eventually(check, seconds=SCRAPED_SECONDS)


@pytest.mark.usefixtures("core")
def test_the_exporter_reads_files_and_sees_the_disk(bundle: Bundle) -> None:
    def check() -> None:
        query = bundle.prometheus.query
        (running,) = query('docker_containers{state="running"}')
        by_source = {
            sample.labels["source"]: sample.value for sample in query("docker_exporter_usage_containers")
        }
        assert by_source == {"cgroup": running.value, "api": 0.0, "none": 0.0}
        assert query("docker_host_filesystem_size_bytes > 0")

    eventually(check, seconds=SCRAPED_SECONDS)


@pytest.mark.usefixtures("core")
def test_alertmanager_is_known_to_prometheus_and_rules_are_evaluated(bundle: Bundle) -> None:
    def check() -> None:
        active = bundle.prometheus.api("alertmanagers")["activeAlertmanagers"]
        assert [each["url"] for each in active] == ["http://alertmanager:9093/api/v2/alerts"]
        groups = bundle.prometheus.api("rules")["groups"]
        assert groups
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}

    eventually(check, seconds=SCRAPED_SECONDS)


@pytest.mark.usefixtures("core")
def test_the_page_of_remediation_is_for_the_person_with_the_password(bundle: Bundle) -> None:
    overview = json.loads(bundle.get("REMEDIATION", "/v1/overview", user="admin"))
    assert overview
    with pytest.raises(OSError, match="401"):
        bundle.get("REMEDIATION", "/v1/overview")


@pytest.mark.usefixtures("core")
def test_lines_carry_the_hosts_name(bundle: Bundle) -> None:
    command = ["docker", "compose", "exec", "-T", "logs"]
    lines = bundle.run(*command, "tail", "-n", "3", "/var/lib/log-forwarder/containers.ndjson").splitlines()
    with open("/proc/sys/kernel/hostname", encoding="ascii") as name:  # noqa: PTH123 - one word
        assert {json.loads(line)["host"] for line in lines} == {name.read().strip()}


def test_it_leaves_nothing_behind(builder: PrivateEngine, bundle: Bundle, tmp_path: Path) -> None:
    assert bundle.client.images.get(IMAGE)
    with Bundle(builder, tmp_path, name="gone") as gone:
        gone.up("broker", "exporter", "logs", "remediation")
        label = {"label": f"com.docker.compose.project={gone.name}"}
        client = bundle.client
        assert all([client.containers.list(filters=label), client.volumes.list(filters=label)])
        gone.down()
        left = client.containers.list(all=True, filters=label), client.networks.list(filters=label)
        assert (*left, client.volumes.list(filters=label)) == ([], [], [])
        nameless = [each.name for each in client.volumes.list() if _NAMELESS.fullmatch(each.name or "")]
        assert nameless == [], "volumes of images, which nobody gave a name and nobody would remove"
