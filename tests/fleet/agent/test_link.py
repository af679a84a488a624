"""The agent's role against a manager over real sockets, with the fake Engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme

from bench.gate import Gate
from compose_agent.commands.roles import SCHEMA
from compose_agent.config import resolve
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.role import ConfigState
from fleet.agent.link import Link, Parts
from fleet.agent.role import LINK, AgentRole
from fleet.agent.transport import CONNECT_SECONDS, Target
from fleet.agent.watchdog import Watchdog
from fleet.agent.websocket import WebSocketTransport
from tests.fleet.manager.serving import Manager, layer_of, serving, until

# From the moment at which the path is whole again.
BACK_SECONDS = 10.0
# So seldom that nobody is late while a manager is started again on a loaded machine.
SELDOM = "30s"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as running:
        yield running


@contextmanager
def agent(
    tmp_path: Path, engine: FakeEngine, url: str, state: str = "agent", **options: str
) -> Iterator[AgentRole]:
    given = {
        "state-dir": str(tmp_path / state),
        "docker.host": engine.url,
        "agent.manager-url": url,
        **{f"agent.{key.replace('_', '-')}": value for key, value in options.items()},
    }
    role = AgentRole(resolve(SCHEMA, [layer_of(given)]), ConfigState(), lambda _config: ["agent", "exporter"])
    role.start()
    try:
        yield role
    finally:
        role.stop()


def link_of(role: AgentRole) -> dict[str, Any]:
    body = role.routes()({"REQUEST_METHOD": "GET", "PATH_INFO": LINK}, lambda *_: None)  # type: ignore[arg-type]
    document: dict[str, Any] = json.loads(b"".join(body))
    return document


def test_an_agent_registers_with_everything_there_is_to_say(tmp_path: Path, engine: FakeEngine) -> None:
    options = {"node_id": "web-1", "tags": "eu,big", "environment": "staging", "capacity": "4"}
    with serving(tmp_path) as manager, agent(tmp_path, engine, manager.ws, **options):
        until(lambda: manager.state("web-1") == "online")
        node = manager.get("/api/v1/nodes/web-1").json()
    assert (node["role"], node["capacity"], node["tags"]) == ("worker", 4, ["eu", "big"])
    assert (node["environment"], node["address"], node["host"]) == ("staging", "127.0.0.1", "fake-engine")
    assert node["attributes"]["host.id"]
    assert not node["health"]["healthy"]
    assert "exporter" in node["health"]["parts"]
    assert "agent" not in node["health"]["parts"]
    assert "agent.node-id: web-1" in node["effective_config"]["compose-agent.yml"]


def test_without_a_name_of_its_own_it_has_the_engine_s(tmp_path: Path, engine: FakeEngine) -> None:
    with serving(tmp_path) as manager, agent(tmp_path, engine, manager.ws):
        until(lambda: manager.state("fake-engine") == "online")


def test_a_stop_is_a_goodbye(tmp_path: Path, engine: FakeEngine) -> None:
    with serving(tmp_path, heartbeat_interval="30s") as manager:
        with agent(tmp_path, engine, manager.ws, node_id="web-1"):
            until(lambda: manager.state("web-1") == "online")
        until(lambda: manager.nodes()["web-1"]["reason"] == "the agent said goodbye")


def test_the_manager_sets_the_heartbeat(tmp_path: Path, engine: FakeEngine) -> None:
    with ExitStack() as stack:
        manager = stack.enter_context(serving(tmp_path, heartbeat_interval="2s"))
        role = stack.enter_context(agent(tmp_path, engine, manager.ws, node_id="web-1"))
        until(lambda: manager.nodes().get("web-1", {}).get("interval") == 2.0)
        assert link_of(role)["interval"] == 2.0


def test_a_manager_s_restart_is_nobody_s_end(tmp_path: Path, engine: FakeEngine) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(serving(tmp_path, heartbeat_interval=SELDOM))
        role = stack.enter_context(agent(tmp_path, engine, first.ws, node_id="web-1"))
        until(lambda: first.state("web-1") == "online")
        port = first.url.rpartition(":")[2]
        first.role.stop()
        until(lambda: not link_of(role)["connected"])
        with again(tmp_path, port) as second:
            assert second.state("web-1") == "online"
            until(lambda: link_of(role)["connected"])
            until(lambda: second.nodes()["web-1"]["reason"] == "heard over websocket")
            history = second.get("/api/v1/nodes/web-1").json()["history"]
        first.role.stop = lambda: None  # type: ignore[method-assign]  # it has been
        assert [one["after"] for one in history] == ["online"]


@contextmanager
def again(tmp_path: Path, port: str) -> Iterator[Manager]:
    at = {"web.listen_address": f"127.0.0.1:{port}"}
    with serving(tmp_path, heartbeat_interval=SELDOM, **at) as manager:
        yield manager


def test_with_http_it_polls(tmp_path: Path, engine: FakeEngine) -> None:
    with serving(tmp_path) as manager:
        with agent(tmp_path, engine, f"{manager.url}/agent", node_id="web-1", heartbeat_interval="1s"):
            until(lambda: manager.state("web-1") == "online")
            assert manager.nodes()["web-1"]["transport"] == "http"
            heard = manager.nodes()["web-1"]["last_heard"]
            until(lambda: manager.nodes()["web-1"]["last_heard"] > heard)
        assert manager.state("web-1") == "offline"


def test_a_copy_that_has_the_same_engine_id_gets_a_uid_from_the_manager(
    tmp_path: Path, engine: FakeEngine
) -> None:
    with serving(tmp_path) as manager, agent(tmp_path, engine, manager.ws, node_id="original") as first:
        until(lambda: manager.state("original") == "online")
        (tmp_path / "copy").mkdir()
        kept = (tmp_path / "agent" / "agent.json").read_bytes()
        (tmp_path / "copy" / "agent.json").write_bytes(kept)
        with agent(tmp_path, engine, manager.ws, state="copy", node_id="copy") as second:
            # As long as nobody has told them apart; whoever has another uid needs a moment to come with it.
            until(
                lambda: link_of(first)["uid"] == link_of(second)["uid"] or manager.state("copy") == "online"
            )
            until(lambda: link_of(first)["uid"] != link_of(second)["uid"])
            until(lambda: manager.state("original") == manager.state("copy") == "online")


def test_a_node_that_is_switched_off_comes_back_when_it_is_on_again(
    tmp_path: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.manager.desk.DISABLED_RETRY_SECONDS", 1.0)
    with serving(tmp_path) as manager, agent(tmp_path, engine, manager.ws, node_id="web-1") as role:
        until(lambda: manager.state("web-1") == "online")
        manager.local("POST", "/api/v1/nodes/web-1/disable")
        until(lambda: "switched off" in link_of(role)["error"])
        manager.local("POST", "/api/v1/nodes/web-1/enable")
        until(lambda: manager.state("web-1") == "online")


def tls_files(folder: Path, ca: trustme.CA) -> Path:
    issued = ca.issue_cert("127.0.0.1", "localhost")
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    password = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    web = folder / "web.yml"
    web.write_text(
        "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
        f"basic_auth_users:\n  admin: {password}\n"
    )
    (folder / "token").write_text("0123456789abcdef\n")
    return web


def test_with_tls_and_a_token(tmp_path: Path, engine: FakeEngine) -> None:
    web = tls_files(tmp_path, trustme.CA())
    more = {"insecure": "false", "web.config.file": str(web), "token_file": str(tmp_path / "token")}
    with serving(tmp_path, **more) as manager:
        joins = {"ca_file": str(tmp_path / "ca.pem"), "token_file": str(tmp_path / "token")}
        with agent(tmp_path, engine, manager.ws, node_id="web-1", **joins) as role:
            until(lambda: link_of(role)["connected"])
        with agent(tmp_path, engine, f"{manager.url}/agent", node_id="web-1", **joins) as role:
            until(lambda: link_of(role)["transport"] == "http")
        (tmp_path / "wrong").write_text("fedcba9876543210\n")
        joins["token_file"] = str(tmp_path / "wrong")
        with agent(tmp_path, engine, manager.ws, node_id="web-1", **joins) as role:
            until(lambda: "401" in link_of(role)["error"])


def test_a_manager_that_nobody_vouches_for_is_not_told_anything(tmp_path: Path, engine: FakeEngine) -> None:
    web = tls_files(tmp_path, trustme.CA())
    more = {"insecure": "false", "web.config.file": str(web), "token_file": str(tmp_path / "token")}
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with serving(tmp_path, **more) as manager:
        joins = {"ca_file": str(tmp_path / "other.pem"), "token_file": str(tmp_path / "token")}
        with agent(tmp_path, engine, manager.ws, node_id="web-1", **joins) as role:
            until(lambda: "CERTIFICATE_VERIFY_FAILED" in link_of(role)["error"])


def test_a_link_that_stands_still_is_made_anew() -> None:
    made: list[Link] = []

    def stuck() -> Link:
        link = Link(_parts(lambda: WebSocketTransport(Target("ws://127.0.0.1:9/"))), polls_only=False)
        if not made:
            link._progressed = lambda: None  # type: ignore[method-assign]  # as if it hung
        made.append(link)
        return link

    watchdog = Watchdog(stuck, stuck=0.5, look=0.1)
    watchdog.start()
    until(lambda: watchdog.rebuilt)
    until(lambda: "_run (link.py:" in watchdog.link.where())  # its thread may only just have begun
    watchdog.stop()
    assert len(made) >= 2


def _parts(websocket: Callable[[], WebSocketTransport]) -> Parts:
    return Parts(
        websocket=websocket,
        polling=websocket,
        converse=lambda _number: pytest.fail("it never connects"),
        begin=lambda _transport: None,
        interval=lambda: 1.0,
        set_interval=lambda _seconds: None,
        heard=lambda _reply: None,
    )


def test_a_link_comes_back_within_seconds_of_its_path(tmp_path: Path, engine: FakeEngine) -> None:
    with ExitStack() as stack:
        manager = stack.enter_context(serving(tmp_path, heartbeat_interval="2s"))
        gate = stack.enter_context(Gate(int(manager.url.rpartition(":")[2])))
        url = f"ws://127.0.0.1:{gate.port}/agent"
        role = stack.enter_context(agent(tmp_path, engine, url, node_id="web-1"))
        for _ in range(3):
            until(lambda: manager.state("web-1") == "online")
            gate.shut()
            until(lambda: not link_of(role)["connected"])
            until(lambda: manager.state("web-1") in {"late", "offline"})
            gate.open()
            assert until(lambda: link_of(role)["connected"]) < BACK_SECONDS


def test_a_path_that_swallows_every_answer_is_noticed(tmp_path: Path, engine: FakeEngine) -> None:
    with ExitStack() as stack:
        manager = stack.enter_context(serving(tmp_path, heartbeat_interval="2s"))
        gate = stack.enter_context(Gate(int(manager.url.rpartition(":")[2])))
        url = f"ws://127.0.0.1:{gate.port}/agent"
        role = stack.enter_context(agent(tmp_path, engine, url, node_id="web-1"))
        until(lambda: link_of(role)["connected"])
        gate.muted = True
        until(lambda: not link_of(role)["connected"], 60.0)
        gate.muted = False
        assert until(lambda: link_of(role)["connected"]) < BACK_SECONDS + CONNECT_SECONDS
