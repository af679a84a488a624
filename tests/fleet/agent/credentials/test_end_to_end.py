"""An agent joins, gets a credential of its own and renews it: real TLS, certificates and manager."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import resolve
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.role import ConfigState
from fleet.agent.role import LINK, AgentRole
from tests.fleet.manager.people.asking import locally
from tests.fleet.manager.serving import layer_of, until
from tests.fleet.secured import Secured, secured

MUTUAL = (
    "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, "
    "client_auth_type: RequireAndVerifyClientCert}\n"
)
# Renewed after two thirds of it; long enough for a request under load.
SHORT = "30s"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as running:
        yield running


@contextmanager
def agent(
    place: Secured, engine: FakeEngine, folder: Path, *, token: str = "", polls: bool = False, **options: str
) -> Iterator[AgentRole]:
    """Run an agent of the node web-1, whose state is in ``folder``."""
    if token:
        (folder / "token").write_text(token)
        options["token-file"] = str(folder / "token")
    url = f"{place.manager.url}/agent" if polls else place.address
    given = {
        "state-dir": str(folder / "agent"),
        "run-dir": str(folder / "run"),
        "docker.host": engine.url,
        "agent.manager-url": url,
        "agent.ca-file": str(place.files.ca),
        "agent.node-id": "web-1",
        **{f"agent.{key}": value for key, value in options.items()},
    }
    role = AgentRole(resolve(SCHEMA, [layer_of(given)]), ConfigState(), lambda _config: ["agent"])
    role.start()
    try:
        yield role
    finally:
        role.stop()


def link_of(role: AgentRole) -> dict[str, Any]:
    body = role.routes()({"REQUEST_METHOD": "GET", "PATH_INFO": LINK}, lambda *_: None)  # type: ignore[arg-type]
    document: dict[str, Any] = json.loads(b"".join(body))
    return document


def kept(folder: Path) -> dict[str, Any]:
    """Return the credential on disk, nothing while there is none."""
    file = folder / "agent" / "agent-credential.json"
    return json.loads(file.read_bytes()) if file.exists() else {}


def states(place: Secured) -> list[str]:
    return [change["after"] for change in reversed(place.node("web-1")["history"])]


@pytest.mark.parametrize("polls", [False, True], ids=["websocket", "http"])
@pytest.mark.parametrize("signs", [True, False], ids=["certificate", "key"])
def test_after_joining_it_needs_no_token(
    signs: bool, polls: bool, tmp_path: Path, engine: FakeEngine
) -> None:
    with secured(tmp_path, signs=signs) as place:
        joins = place.token(["staging"], uses=1)
        with agent(place, engine, tmp_path, token=joins, polls=polls, environment="production"):
            until(lambda: kept(tmp_path), 60.0)
            until(lambda: place.state("web-1") == "online")  # it may be late on a loaded machine
            assert place.node("web-1")["environment"] == "staging"
        assert bool(kept(tmp_path)["certificate"]) is signs
        assert stat.S_IMODE((tmp_path / "agent" / "agent-credential.json").stat().st_mode) == 0o600
        until(lambda: place.state("web-1") == "offline")
        with agent(place, engine, tmp_path, polls=polls):
            until(lambda: place.state("web-1") == "online")
            assert place.node("web-1")["environment"] == "staging"


def test_with_mutual_tls_only_who_has_a_certificate_is_talked_to(tmp_path: Path, engine: FakeEngine) -> None:
    with secured(tmp_path) as place, agent(place, engine, tmp_path, token=place.token()):
        until(lambda: kept(tmp_path), 60.0)
        same: dict[str, Any] = {"web.listen-address": place.manager.url.removeprefix("https://")}
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    with secured(tmp_path, web=MUTUAL, **same) as place:
        with agent(place, engine, tmp_path):
            until(lambda: place.state("web-1") == "online")
        with agent(place, engine, stranger, token=place.token()) as role:
            until(lambda: link_of(role)["error"])
            assert not link_of(role)["connected"]


@pytest.mark.parametrize("signs", [True, False], ids=["certificate", "key"])
def test_it_is_renewed_and_nobody_takes_the_agent_for_gone(
    signs: bool, tmp_path: Path, engine: FakeEngine
) -> None:
    with (
        secured(tmp_path, signs=signs, credential_lifetime=SHORT, heartbeat_interval="10s") as place,
        agent(place, engine, tmp_path, token=place.token(uses=1)),
    ):
        until(lambda: kept(tmp_path), 60.0)
        first = kept(tmp_path)
        until(lambda: kept(tmp_path) != first, 90.0)
        until(lambda: states(place))
        assert states(place) == ["online"]


def test_one_that_cannot_be_kept_is_not_taken(
    tmp_path: Path, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "agent" / "agent-credential.new").mkdir(parents=True)  # in the way of the new file
    with (
        secured(tmp_path, heartbeat_interval="10s") as place,
        agent(place, engine, tmp_path, token=place.token(uses=1)) as role,
    ):
        until(lambda: "stays" in caplog.text, 60.0)
        assert (link_of(role)["connected"], place.state("web-1")) == (True, "online")
        until(lambda: states(place))
        assert (states(place), kept(tmp_path)) == (["online"], {})


def test_one_that_was_revoked_is_of_no_use_without_a_token(tmp_path: Path, engine: FakeEngine) -> None:
    with secured(tmp_path) as place:
        joins = place.token()
        with agent(place, engine, tmp_path, token=joins):
            until(lambda: kept(tmp_path), 60.0)
            first = kept(tmp_path)
            assert locally(place.manager, "POST", "/api/v1/nodes/web-1/revoke")[0] == 200
            # It joins anew, with its token, as the same node.
            until(lambda: kept(tmp_path) != first, 60.0)
            assert kept(tmp_path)["uid"] == first["uid"]
        assert locally(place.manager, "POST", "/api/v1/nodes/web-1/revoke")[0] == 200
        with agent(place, engine, tmp_path) as role:
            until(lambda: "401" in link_of(role)["error"], 60.0)
            assert place.state("web-1") == "offline"


def test_a_copy_of_the_host_does_not_come_as_the_one_it_was(tmp_path: Path, engine: FakeEngine) -> None:
    with secured(tmp_path) as place:
        with agent(place, engine, tmp_path, token=place.token()):
            until(lambda: kept(tmp_path), 60.0)
        uid = kept(tmp_path)["uid"]
        identity = tmp_path / "agent" / "agent.json"
        identity.write_text(json.dumps({"uid": uid, "engine_id": "another-engine"}))
        with agent(place, engine, tmp_path, token=place.token()):
            until(lambda: kept(tmp_path)["uid"] != uid, 60.0)
            until(lambda: place.state("web-1") == "online")


def test_one_that_was_tried_when_the_agent_was_killed_is_as_good(tmp_path: Path, engine: FakeEngine) -> None:
    with secured(tmp_path) as place:
        with agent(place, engine, tmp_path, token=place.token(uses=1)):
            until(lambda: kept(tmp_path), 60.0)
        file = tmp_path / "agent" / "agent-credential.json"
        file.rename(file.with_suffix(".new"))
        with agent(place, engine, tmp_path):
            until(lambda: place.state("web-1") == "online")
