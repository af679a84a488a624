"""What people and programs are shown: pages, JSON, targets, metrics, and who may see them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import trustme
import urllib3

from compose_agent.selfmetrics import rows
from fleet.opamp.attributes import to_attributes
from tests.fleet.manager.serving import HandAgent, Manager, serving, until

HOSTILE = '"><script>alert(1)</script>\u202e'


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path, expect="absent") as running:
        yield running


def page(manager: Manager, path: str = "/") -> str:
    answer = manager.get(path)
    assert answer.status == 200, path
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    return answer.data.decode()


def test_the_table_has_a_row_for_each_node(manager: Manager) -> None:
    HandAgent(manager, "web-1", host_name="h1", host_ip="10.0.0.7").say(described=True)
    text = page(manager)
    assert len(re.findall(r'<tr role="row" id="n-', text)) == 2
    for shown in ("web-1", "h1", "10.0.0.7", "online", "absent", "never seen", "1 of 2 need a look"):
        assert shown in text


def test_the_live_part_is_the_page_without_its_frame(manager: Manager) -> None:
    HandAgent(manager, "web-1").say(described=True)
    text = page(manager, "/?fragment=1")
    assert "<html" not in text
    assert re.findall(r'<section id="(\w+)" data-live', text) == ["fleet", "nodes"]
    assert 'id="live"' in text


def test_nothing_that_an_agent_says_is_markup(manager: Manager) -> None:
    agent = HandAgent(manager, HOSTILE, host_name=HOSTILE)
    message = agent.message(described=True)
    message.health.last_error = HOSTILE
    message.effective_config.config_map.config_map[HOSTILE].body = HOSTILE.encode()
    agent.say(message)
    for path in ("/", f"/node?id={manager.rows()[-1]['uid']}"):
        text = page(manager, path)
        assert "<script>alert" not in text
        assert "\u202e" not in text


def test_a_node_has_a_page_with_its_health_and_history(manager: Manager) -> None:
    agent = HandAgent(manager, "web-1")
    message = agent.message(described=True)
    message.health.component_health_map["logs"].last_error = "no sink"
    message.effective_config.config_map.config_map["a.yml"].body = b"log.level: debug\n"
    agent.say(message)
    until(lambda: "never seen → <b>online</b>" in page(manager, "/node?id=web-1"))
    text = page(manager, "/node?id=web-1")
    for shown in ("no sink", "log.level: debug", "service.instance.id"):
        assert shown in text
    assert manager.get("/node?id=nobody").status == 404


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=web", {"web-1", "web-2"}),
        ("q=WEB-2+by-hand", {"web-2"}),
        ("state=online", {"web-1", "web-2", "db"}),
        ("state=never+seen", {"absent"}),
        ("limit=0", {"absent"}),
    ],
)
def test_a_list_can_be_narrowed(query: str, shown: set[str], manager: Manager) -> None:
    for name in ("web-1", "web-2", "db"):
        HandAgent(manager, name).say(described=True)
    document = manager.get(f"/api/v1/nodes?{query}").json()
    assert {node["node_id"] for node in document["nodes"]} == shown
    assert document["states"]["online"] == 3


@pytest.mark.parametrize("query", ["limit=x", "sort=x", "offset=-1", "state=nonsense", "nonsense=1"])
def test_a_program_is_told_of_its_mistake_and_a_person_sees_all(query: str, manager: Manager) -> None:
    answer = manager.get(f"/api/v1/nodes?{query}")
    assert answer.status == 400
    assert answer.json()["error"].startswith(query.partition("=")[0])
    assert manager.get(f"/?{query}").status == 200


def test_targets_for_prometheus(manager: Manager) -> None:
    agent = HandAgent(manager, "web-1")
    message = agent.message(described=True)
    listener = {"compose_agent.listener.exporter": "http://0.0.0.0:9417"}
    message.agent_description.non_identifying_attributes.extend(to_attributes(listener))
    agent.say(message)
    answer = manager.get("/api/v1/http_sd")
    assert [group["targets"] for group in answer.json()] == [["127.0.0.1:9417"]]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Prometheus-Refresh-Interval-Seconds"] == "60"


def test_metrics_tell_of_states_and_of_each_node(manager: Manager) -> None:
    HandAgent(manager, "web-1", host_name="h1").say(described=True)
    text = manager.get("/metrics").data.decode()
    assert 'fleet_nodes{state="online"} 1.0' in text
    assert 'fleet_nodes{state="never seen"} 1.0' in text
    assert 'fleet_node_up{environment="",host="h1",node_id="web-1"} 1.0' in text
    assert 'fleet_node_transitions_total{state="online"} 1.0' in text
    assert manager.get("/metrics", Accept="application/openmetrics-text").data.endswith(b"# EOF\n")


@pytest.mark.parametrize("path", ["/elsewhere", "/api/v1/nodes/", "/api/v1/nodes/a/b", "/static/../x"])
def test_what_is_not_there_is_404(path: str, manager: Manager) -> None:
    assert manager.get(path).status == 404


def test_every_metric_is_documented(manager: Manager) -> None:
    text = (Path(__file__).parents[3] / "docs" / "fleet.md").read_text()
    for name, *_ in rows(manager.role._metrics.registry):
        assert name in text or name.startswith(("`fleet_manager_", "`process_")), name


def test_with_users_nothing_is_shown_without_a_password(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued = ca.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    web = tmp_path / "web.yml"
    tls = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
    web.write_text(f"{tls}basic_auth_users: {{admin: {hashed}}}\n")
    (tmp_path / "token").write_text("0123456789abcdef")
    options = {"insecure": "false", "web.config.file": str(web), "token_file": str(tmp_path / "token")}
    with (
        serving(tmp_path, **options) as manager,
        urllib3.PoolManager(ca_certs=str(tmp_path / "ca.pem")) as pool,
    ):
        for path in ("/", "/api/v1/nodes", "/metrics", "/node?id=x", "/api/v1/http_sd"):
            assert pool.request("GET", manager.url + path).status == 401
        for path in ("/-/ready", "/login", "/static/frame.css"):
            assert pool.request("GET", manager.url + path).status == 200
        known = urllib3.make_headers(basic_auth="admin:secret")
        assert pool.request("GET", f"{manager.url}/", headers=known).status == 200
        wrong = urllib3.make_headers(basic_auth="admin:wrong")
        assert pool.request("GET", f"{manager.url}/", headers=wrong).status == 401
