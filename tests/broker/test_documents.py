"""What the documents say of the broker is what it does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from broker.metrics import BrokerMetrics
from broker.routes import ROUTES
from compose_agent.role import ConfigState
from compose_agent.selfmetrics import rows

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/broker.md").read_text(encoding="utf-8")
EXAMPLE = yaml.safe_load((ROOT / "docs/examples/hardened-compose.yml").read_text(encoding="utf-8"))
SOCKET = "docker.sock"


def test_the_table_of_routes_is_the_list() -> None:
    listed = dict(re.findall(r"^\| `/(\S+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert list(listed) == [route.name for route in ROUTES]
    for route in ROUTES:
        names = [
            name
            for name in re.findall(r"`([a-z_-]+)`", listed[route.name])
            if name != "aux" and name[0] != "-"
        ]
        assert names == list(route.query), route.name


def test_every_metric_is_there() -> None:
    for name, *_ in rows(BrokerMetrics(ConfigState()).registry):
        assert name in PAGE or name.startswith("`process_"), name


def test_only_the_broker_of_the_example_has_the_socket_and_nobody_has_more_than_needed() -> None:
    for name, service in EXAMPLE["services"].items():
        assert any(SOCKET in volume for volume in service["volumes"]) is (name == "broker")
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service["user"].startswith("0")
        assert "privileged" not in service
    assert EXAMPLE["services"]["broker"]["network_mode"] == "none"
    assert "ports" not in EXAMPLE["services"]["broker"]
