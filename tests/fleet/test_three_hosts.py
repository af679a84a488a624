"""Three hosts, each with an Engine of its own, a manager on a fourth, over TLS; a cable that is pulled.

Prometheus and Alertmanager stand beside the manager, and have the rules that users have.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.alertmanager import Alertmanager, amtool, to_webhook
from lab.fleet import INTERVAL_SECONDS, Host, Site, fleet
from lab.lan import Lan
from lab.manager import PORT
from lab.prometheus import Prometheus, promtool
from lab.receiver import ScriptedReceiver
from tests.dashboards.asking import FLEET, empty_after, reasons, without_values
from tests.fleet.manager.serving import until
from tests.integration.observed import INTERVAL, hastened

pytestmark = pytest.mark.engine

OFFLINE = "FleetNodeOffline"
NAMES = ("host-1", "host-2", "host-3")
# The goal of the manager, and what a test on a loaded machine adds before it sees it.
OFFLINE_INTERVALS, LOOKING_SECONDS = 2.5, 3.0
BACK_SECONDS = 10.0
PATIENCE_SECONDS = 90.0
# Rules wait so much less than in the bundle.
HASTEN = 15
# No configuration is rolled out here, and nobody hands in alerts.
EMPTY_HERE = {f"{FLEET}: Roll-outs that have ended", f"{FLEET}: Alerts for the hosts"}
_ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    expected = ["--expect=host-1", "--expect=host-4"]
    with fleet(NAMES, tmp_path_factory.mktemp("fleet"), options=expected) as made:
        yield made


@dataclass
class Watch:
    """Who sees the manager's metrics, and who is told of an alert."""

    lan: Lan
    prometheus: Prometheus
    called: ScriptedReceiver

    def firing(self, name: str) -> set[str]:
        """Return the nodes about which an alert fires."""
        with self.lan.present():
            found = self.prometheus.query(f'ALERTS{{alertname="{name}", alertstate="firing"}}')
        return {sample.labels["node_id"] for sample in found}

    def told(self, name: str, node: str) -> list[str]:
        """Return what people were told about an alert of a node: firing, resolved."""
        alerts = [one for post in self.called.posts for one in post.body["alerts"]]
        about = {"alertname": name, "node_id": node}
        return [one["status"] for one in alerts if about.items() <= one["labels"].items()]


@pytest.fixture(scope="module")
def watch(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    for tool in (promtool, amtool):
        assert tool("--version").returncode == 0  # unpacked while there is a way to the packages
    with ExitStack() as held:
        with site.lan.present():
            called = held.enter_context(ScriptedReceiver())
            alertmanager = held.enter_context(Alertmanager(to_webhook(called.url)))
            rules = hastened(tmp_path_factory.mktemp("rules"), HASTEN)
            prometheus = held.enter_context(Prometheus(watching(site, rules, alertmanager.url)))
            prometheus.wait_for("up == 1")
        yield Watch(site.lan, prometheus, called)


def watching(site: Site, rules: list[Path], alertmanager: str) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": "manager",
                "scheme": "https",
                "tls_config": {"ca_file": str(site.manager.ca_file)},
                "static_configs": [{"targets": [f"{site.lan.address}:{PORT}"]}],
            }
        ],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [alertmanager.removeprefix("http://")]}]}]
        },
    }


def test_three_hosts_register_over_tls_as_who_they_are(site: Site) -> None:
    until(lambda: [site.state(name) for name in NAMES] == ["online"] * 3, PATIENCE_SECONDS)
    nodes = {name: site.manager.node(name) for name in NAMES}
    assert {node["transport"] for node in nodes.values()} == {"websocket"}
    assert [nodes[host.name]["address"] for host in site.hosts] == [host.cable.address for host in site.hosts]
    assert len({node["attributes"]["host.id"] for node in nodes.values()}) == 3
    assert [nodes[name]["tags"] for name in NAMES] == [["1"], ["2"], ["3"]]
    until(lambda: is_well(site, "host-1", "exporter"), PATIENCE_SECONDS)
    assert site.states() == {**dict.fromkeys(NAMES, "online"), "host-4": "never seen"}


def is_well(site: Site, name: str, part: str) -> bool:
    """Tell whether a part of a host has said that it is well; nothing is known of it before."""
    health = site.manager.node(name).get("health") or {}
    return bool(health.get("parts", {}).get(part, {}).get("healthy"))


def test_every_host_s_exporter_is_found_and_answers_on_the_lan(site: Site) -> None:
    until(lambda: all(site.manager.node(name).get("listeners") for name in NAMES), PATIENCE_SECONDS)
    for host in site.hosts:
        until(partial(shows_its_container, site, host), PATIENCE_SECONDS)


def shows_its_container(site: Site, host: Host) -> bool:
    """Tell whether a host's exporter has its container, asked on the LAN."""
    text = site.lan.run(sys.executable, "-c", _ASK, f"http://{host.cable.address}:9417/metrics")
    return f'name="web-of-{host.name}"' in text


def test_a_stranger_hears_nothing(site: Site) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        # Who does not know the authority does not speak with the manager.
        raise_what(site.lan, f"https://{site.lan.address}:{PORT}/api/v1/nodes")


def raise_what(lan: Lan, url: str) -> None:
    done = subprocess.run(
        [*lan.enter(), sys.executable, "-c", _ASK, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "CERTIFICATE_VERIFY_FAILED" in done.stderr:
        raise ssl.SSLCertVerificationError(done.stderr)


def test_a_pulled_cable_is_late_then_offline_with_an_alert_and_plugged_it_is_back(
    site: Site, watch: Watch
) -> None:
    host = site.hosts[1]
    until(lambda: site.state(host.name) == "online", PATIENCE_SECONDS)
    pid, connections = host.agent.pid, host.link()["connections"]
    host.cable.pull()
    until(lambda: site.state(host.name) == "late", OFFLINE_INTERVALS * INTERVAL_SECONDS + LOOKING_SECONDS)
    until(lambda: site.state(host.name) == "offline", OFFLINE_INTERVALS * INTERVAL_SECONDS + LOOKING_SECONDS)
    node = site.manager.node(host.name)
    assert "nothing heard" in node["reason"]
    assert f'node_id="{host.name}",state="offline"' in site.manager.metrics()
    until(lambda: watch.told(OFFLINE, host.name) == ["firing"], PATIENCE_SECONDS)
    assert watch.firing(OFFLINE) == {host.name}
    # The others are as they were, and so is the work on the host itself.
    assert {site.state(name) for name in ("host-1", "host-3")} == {"online"}
    assert "docker_container" in host.inside(sys.executable, "-c", _ASK, "http://127.0.0.1:9417/metrics")
    until(lambda: not host.link()["connected"])
    host.cable.plug()
    assert back_after(site, host) < BACK_SECONDS
    assert host.agent.pid == pid
    until(lambda: host.link()["connections"] > connections)
    assert history_of(site, host)[:4] == ["online", "offline", "late", "online"]
    until(lambda: watch.told(OFFLINE, host.name) == ["firing", "resolved"], PATIENCE_SECONDS)
    assert watch.firing(OFFLINE) == set()


def test_every_panel_about_a_fleet_has_data_or_says_why_not(site: Site, watch: Watch) -> None:
    site.manager.post("/api/v1/commands", {"verb": "inspect", "nodes": [NAMES[0], NAMES[2]]})
    with site.lan.present():
        empty = empty_after(watch.prometheus, PATIENCE_SECONDS, EMPTY_HERE, fleet=True)
        assert without_values(watch.prometheus, FLEET) == []
    assert empty <= EMPTY_HERE
    assert all(reasons()[name] for name in empty), "the panel itself says why"


def back_after(site: Site, host: Host) -> float:
    """Return after how many seconds a host was back; one that does not come back says how it stands."""
    try:
        return until(lambda: site.state(host.name) == "online")
    except AssertionError as error:
        raise AssertionError(f"{host.link()}, and at the manager {site.manager.node(host.name)}") from error


def history_of(site: Site, host: Host) -> list[str]:
    """Return the states in which a host was, the last one first."""
    return [one["after"] for one in site.manager.node(host.name)["history"]]


def test_an_engine_that_is_away_is_told_and_its_host_stays_online(site: Site) -> None:
    host = site.hosts[2]
    host.engine.freeze()
    try:
        until(lambda: not site.manager.node(host.name)["health"]["healthy"], PATIENCE_SECONDS)
        assert site.state(host.name) == "online"
    finally:
        host.engine.thaw()
    until(lambda: site.manager.node(host.name)["health"]["healthy"], PATIENCE_SECONDS)


def test_an_agent_that_is_stopped_says_goodbye(site: Site) -> None:
    host = site.hosts[0]
    host.agent.end()
    # Sooner than by its silence.
    assert until(lambda: site.state(host.name) == "offline") < OFFLINE_INTERVALS * INTERVAL_SECONDS
    assert site.manager.node(host.name)["reason"] == "the agent said goodbye"
