"""The files that the bundle mounts are taken by the programs they are for, and say what they should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.alertmanager import amtool
from lab.prometheus import promtool
from tests.bundle.model import ROOT

ALERTMANAGER = ROOT / "compose/alertmanager/alertmanager.yml"
PROMETHEUS = ROOT / "compose/prometheus/prometheus.yml"
GRAFANA = ROOT / "compose/grafana/provisioning"
AGENT = ROOT / "docker-compose.yml"
_SECONDS = 60


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.engine
def test_prometheus_takes_its_configuration() -> None:
    checked = promtool("check", "config", "--syntax-only", str(PROMETHEUS), suite="forky")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.engine
def test_alertmanager_takes_its_configuration() -> None:
    checked = amtool("check-config", str(ALERTMANAGER))
    assert checked.returncode == 0, checked.stderr


def test_alerts_go_where_they_go_on_a_host_and_the_role_asks_who_tells() -> None:
    bundle, host = loaded(ALERTMANAGER), loaded(ROOT / "alerts/alertmanager.yml")
    (webhook,) = receiver(bundle)["webhook_configs"]
    assert webhook.pop("http_config") == {
        "follow_redirects": False,
        "basic_auth": {"username": "alertmanager", "password_file": "/run/secrets/alertmanager-password"},
    }
    assert webhook.pop("url") == "http://remediation:9419/webhook"
    assert receiver(host)["webhook_configs"][0].pop("url") == "http://127.0.0.1:9419/webhook"
    assert bundle == host


def receiver(configuration: Any) -> Any:
    (found,) = [each for each in configuration["receivers"] if each["name"] == "remediation"]
    return found


def test_every_role_of_the_compose_file_is_scraped() -> None:
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"] for job in loaded(PROMETHEUS)["scrape_configs"]
    }
    services = loaded(ROOT / "docker-compose.yml")["services"]
    core = {name for name, service in services.items() if "profiles" not in service and name[:5] != "demo-"}
    assert set(jobs) == core - {"grafana"}
    hosts = {name: targets[0].partition(":")[0] for name, targets in jobs.items()}
    assert {host for name, host in hosts.items() if name != "prometheus"} <= core


def test_what_grafana_is_given_has_names_that_links_can_use() -> None:
    sources = loaded(GRAFANA / "datasources/datasources.yml")["datasources"]
    uids = {source["uid"] for source in sources}
    assert {source["uid"] for source in sources if source.get("isDefault")} == {"prometheus"}
    named = {
        link["datasourceUid"]
        for source in sources
        for links in ("exemplarTraceIdDestinations", "dataLinks")
        for link in source.get("jsonData", {}).get(links, [])
    }
    assert named <= uids
    assert not any(source["editable"] for source in sources)
    (provider,) = loaded(GRAFANA / "dashboards/dashboards.yml")["providers"]
    assert provider["allowUiUpdates"] is False


def test_compose_agent_check_takes_the_fields_of_the_compose_file(tmp_path: Path) -> None:
    """Only what lies at paths of the containers is missing here, and nothing else is wrong."""
    text = AGENT.read_text(encoding="utf-8")
    for path in ("/run/secrets/remediation-web", "/etc/remediation/policies.yml"):
        text = text.replace(path, str(tmp_path / Path(path).name))
    subprocess.run([ROOT / "scripts/setup-secrets", tmp_path], check=True, timeout=_SECONDS)
    (tmp_path / "remediation-web.yml").rename(tmp_path / "remediation-web")
    (tmp_path / "policies.yml").write_bytes((ROOT / "alerts/remediation.yml").read_bytes())
    (tmp_path / "docker-compose.yml").write_text(text)
    file = f"--compose-file={tmp_path}/docker-compose.yml"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "compose_agent", "check", file],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
