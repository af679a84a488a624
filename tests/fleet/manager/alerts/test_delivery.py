"""Alerts from a sender to the journal of a host: kept before the answer, brought in order, each once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIEnvironment

import pytest
import urllib3

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import resolve
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.role import ConfigState
from compose_agent.web.response import Response, RouteTable, body_of, routed
from fleet.envelopes.alert import CAPABILITY
from fleet.manager.alerts import dispatcher
from fleet.manager.alerts.store import Fate
from lab.alertmanager import Alertmanager, alert, to_webhook
from remediation.role import RemediationRole
from tests.fleet.hosting import Host, hosting, standing_in
from tests.fleet.manager.alerts.test_notification import body
from tests.fleet.manager.people.asking import locally, token
from tests.fleet.manager.serving import WAIT_SECONDS, Manager, layer_of, serving, until

LONG = 4 * WAIT_SECONDS


@dataclass
class Remediation:
    """Stands in for the role: keeps what it is handed; ``status`` is what it answers."""

    status: int = 202
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    traces: list[str] = field(default_factory=list)

    def app(self) -> Any:
        table: RouteTable = {"/v1/notifications": {"POST": self._take}}
        return routed(table)

    def _take(self, environ: WSGIEnvironment) -> Response:
        self.asked += 1
        (found,) = json.loads(body_of(environ))["alerts"]
        if self.status == 202:
            self.taken.append(found)
            self.traces.append(str(environ.get("HTTP_TRACEPARENT", "")))
        return Response.json(self.status, {})

    def names(self) -> list[tuple[str, str]]:
        return [(each["labels"]["alertname"], each["status"]) for each in self.taken]


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path / "manager") as running:
        yield running


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as running:
        yield running


@pytest.fixture
def remediation() -> Remediation:
    return Remediation()


@pytest.fixture
def host(held: ExitStack, manager: Manager, tmp_path: Path, remediation: Remediation) -> Host:
    return a_host(held, manager, tmp_path, "web", remediation)


def a_host(
    held: ExitStack,
    manager: Manager,
    folder: Path,
    name: str,
    remediation: Remediation,
    *,
    engine: FakeEngine | None = None,
) -> Host:
    roles = {"remediation": remediation.app()}
    made = held.enter_context(hosting(folder / name, manager.ws, name, roles, engine=engine))
    until(lambda: manager.state(name) == "online")
    until(lambda: CAPABILITY in manager.role._registry.find(name)[0].custom)
    return made


def one(title: str = "A", status: str = "firing", /, **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": title, **labels},
        "startsAt": "2026-01-02T03:04:05Z",
        "fingerprint": f"{title}{sorted(labels.items())}",
    }


def post(manager: Manager, *alerts: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
    """Send a notification as the host's administrator, who needs no credentials."""
    data, started = body(*alerts), []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/alerts",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "wsgi.input": BytesIO(data),
        **headers,
    }
    answer = manager.role.routes()(environ, lambda status, *_: started.append(status))  # type: ignore[arg-type]
    return int(str(started[0])[:3]), json.loads(b"".join(answer))


def fates(manager: Manager) -> dict[str, str]:
    return {each["name"]: each["state"] for each in locally(manager, "GET", "/api/v1/alerts")[1]}


def test_an_alert_reaches_the_remediation_of_its_host(
    manager: Manager, host: Host, remediation: Remediation
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert post(manager, one(node_id=host.name), HTTP_TRACEPARENT=trace) == (202, {"taken": 1, "refused": []})
    until(lambda: fates(manager) == {"A": "delivered"})
    assert remediation.names() == [("A", "firing")]
    assert remediation.traces == [trace]


def test_a_container_leads_to_its_host(manager: Manager, host: Host, remediation: Remediation) -> None:
    number = host.engine.add_container("shop-web-1")
    until(lambda: manager.get(f"/api/v1/nodes/{host.name}/containers").json())
    post(manager, one("ById", id=number[:12]), one("ByName", name="shop-web-1"))
    until(lambda: remediation.names() == [("ById", "firing"), ("ByName", "firing")])


def test_a_name_on_several_hosts_is_refused_and_said(
    held: ExitStack, manager: Manager, host: Host, remediation: Remediation, tmp_path: Path
) -> None:
    other = a_host(held, manager, tmp_path, "db", Remediation())
    for each in (host, other):
        each.engine.add_container("cache")
        until(lambda each=each: manager.get(f"/api/v1/nodes/{each.name}/containers").json())  # type: ignore[misc]
    status, said = post(manager, one(name="cache"), one("B", node_id="web"))
    assert (status, said["taken"]) == (202, 1)
    assert said["refused"][0]["reason"].startswith("2 hosts have a container with the name cache (db, web)")
    assert post(manager, one(name="cache"))[0] == 422
    until(lambda: remediation.names() == [("B", "firing")])
    assert "only the label node_id tells which" in manager.get("/alerts").data.decode()


def test_what_came_while_the_host_was_away_is_brought_when_it_is_back(
    held: ExitStack, manager: Manager, engine: FakeEngine, tmp_path: Path
) -> None:
    first = Remediation()
    with ExitStack() as while_it_runs:
        a_host(while_it_runs, manager, tmp_path, "web", first, engine=engine)
    until(lambda: manager.state("web") == "offline")
    assert post(manager, one("A", node_id="web"), one("B", node_id="web"))[0] == 202
    assert post(manager, one("A", "resolved", node_id="web"))[0] == 202
    assert fates(manager)["B"] == "waiting"
    back = Remediation()
    a_host(held, manager, tmp_path, "web", back, engine=engine)
    until(lambda: back.names() == [("B", "firing"), ("A", "resolved")])
    states = [each["state"] for each in manager.get("/api/v1/alerts").json()]
    until(lambda: "waiting" not in fates(manager).values())
    assert states.count("superseded") == 1
    assert first.taken == []


def test_what_is_taken_outlives_the_manager(held: ExitStack, engine: FakeEngine, tmp_path: Path) -> None:
    with serving(tmp_path / "manager") as manager, ExitStack() as while_it_runs:
        a_host(while_it_runs, manager, tmp_path, "web", Remediation(), engine=engine)
        while_it_runs.close()
        until(lambda: manager.state("web") == "offline")
        assert post(manager, one(node_id="web"))[0] == 202
    with serving(tmp_path / "manager") as again:
        back = Remediation()
        assert post(again, one("B", node_id="web"))[0] == 202
        a_host(held, again, tmp_path, "web", back, engine=engine)
        until(lambda: back.names() == [("A", "firing"), ("B", "firing")])


def test_a_remediation_that_is_restarted_gets_it_afterwards(
    manager: Manager, host: Host, remediation: Remediation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_AGAIN_SECONDS", 0.5)
    remediation.status = 503
    post(manager, one(node_id=host.name))
    until(lambda: remediation.asked > 1)
    assert fates(manager) == {"A": "waiting"}
    remediation.status = 202
    until(lambda: fates(manager) == {"A": "delivered"})


def test_an_answer_that_is_lost_is_given_again_and_nothing_is_handed_on_twice(
    manager: Manager, host: Host, remediation: Remediation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_AGAIN_SECONDS", 0.5)
    send = host.role._alerts._send
    lost: list[str] = []

    def lossy(capability: str, kind: str, data: bytes) -> bool:
        if len(lost) < 2:
            lost.append(kind)
            return True
        return send(capability, kind, data)

    monkeypatch.setattr(host.role._alerts, "_send", lossy)
    post(manager, one(node_id=host.name))
    until(lambda: fates(manager) == {"A": "delivered"})
    assert len(lost) == 2
    assert remediation.names() == [("A", "firing")]


def test_what_remediation_does_not_take_is_not_sent_again(
    manager: Manager, host: Host, remediation: Remediation
) -> None:
    remediation.status = 400
    post(manager, one(node_id=host.name))
    until(lambda: fates(manager) == {"A": "rejected"})
    (shown,) = manager.get("/api/v1/alerts").json()
    assert "remediation answers 400" in shown["reason"]
    assert remediation.asked == 1


def test_an_old_alert_is_given_up(manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as while_it_runs:
        a_host(while_it_runs, manager, tmp_path, "web", Remediation())
    until(lambda: manager.state("web") == "offline")
    monkeypatch.setattr(dispatcher, "PATIENCE_SECONDS", 0.0)
    post(manager, one(node_id="web"))
    until(lambda: fates(manager) == {"A": "expired"})


def test_an_answer_for_another_hosts_alert_is_none(
    manager: Manager, host: Host, remediation: Remediation
) -> None:
    remediation.status = 503
    post(manager, one(node_id=host.name))
    (shown,) = manager.get("/api/v1/alerts").json()
    store = manager.role._alerts.api._store
    assert not store.end(shown["id"], b"x" * 16, Fate.DELIVERED, "", 1.0)
    assert fates(manager) == {"A": "waiting"}


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [(b"{}", "application/json", 400), (b"", "application/json", 400), (body(one()), "text/plain", 415)],
)
def test_what_is_no_notification_is_refused(data: bytes, kind: str, status: int, manager: Manager) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/alerts",
        "QUERY_STRING": "",
        "CONTENT_TYPE": kind,
        "wsgi.input": BytesIO(data),
    }
    started: list[str] = []
    list(manager.role.routes()(environ, lambda status, *_: started.append(status)))  # type: ignore[arg-type]
    assert int(started[0][:3]) == status
    assert manager.get("/api/v1/alerts").json() == []


def test_a_sender_that_may_only_look_is_refused(manager: Manager) -> None:
    answer = urllib3.request("POST", f"{manager.url}/api/v1/alerts", body=body(one()), timeout=LONG)
    assert answer.status == 403


def real_remediation(held: ExitStack, folder: Path) -> RemediationRole:
    """Run the real role on an Engine without containers, behind its local socket in ``folder``/run."""
    engine = held.enter_context(FakeEngine(folder / "remediation.sock"))
    given = {
        "state-dir": str(folder / "remediation"),
        "docker.host": engine.url,
        "remediation.web.listen-address": "127.0.0.1:0",
    }
    role = RemediationRole(resolve(SCHEMA, [layer_of(given)]), ConfigState())
    role.start()
    held.callback(role.stop)
    held.enter_context(standing_in(folder / "run", "remediation", role.routes()))
    return role


def occurrences(role: RemediationRole) -> int:
    return int(
        role.journal.read(
            lambda view: view._database.execute("SELECT count(*) FROM occurrences").fetchone()[0]
        )
    )


def test_a_real_alertmanager_reaches_a_real_remediation(
    held: ExitStack, manager: Manager, tmp_path: Path
) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    role = real_remediation(held, folder)
    held.enter_context(hosting(folder, manager.ws, "web", {}))
    until(lambda: manager.state("web") == "online")
    sender = token(manager, "operator", None).headers["Authorization"].split()
    authorization = {"authorization": {"type": sender[0], "credentials": sender[1]}}
    configuration = to_webhook(f"{manager.url}/api/v1/alerts", webhook={"http_config": authorization})
    source = held.enter_context(Alertmanager(configuration))
    source.post_alerts([alert("ContainerUnhealthy", node_id="web", name="shop-web-1")])
    until(lambda: fates(manager) == {"ContainerUnhealthy": "delivered"}, LONG)
    until(lambda: occurrences(role) == 1, LONG)
    assert source.metric("alertmanager_notifications_failed_total", integration="webhook") == 0
    source.post_alerts([alert("Nobodys", node_id="nowhere")])
    until(lambda: fates(manager).get("Nobodys") == "refused", LONG)
    until(lambda: source.metric("alertmanager_notifications_failed_total", integration="webhook") > 0, LONG)


def test_alerts_from_many_senders_at_once_are_all_brought(
    manager: Manager, host: Host, remediation: Remediation
) -> None:
    senders = [
        threading.Thread(
            target=post, args=(manager, *[one(f"A{s}-{n}", node_id=host.name) for n in range(10)])
        )
        for s in range(10)
    ]
    for each in senders:
        each.start()
    for each in senders:
        each.join(WAIT_SECONDS)
    until(lambda: len(remediation.taken) >= 100, LONG)
    until(lambda: set(fates(manager).values()) == {"delivered"}, LONG)
    assert len(remediation.taken) == 100
