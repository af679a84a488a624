"""Who comes in as which agent, in which environment, over real TLS with real certificates."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from fleet.opamp.uid import new_uid, uid_text
from fleet.pki import Pair, make_authority, make_request
from tests.fleet.manager.people.asking import locally, token
from tests.fleet.manager.serving import until
from tests.fleet.secured import Secured, Visitor, secured


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Secured]:
    with secured(tmp_path) as running:
        yield running


def certified(place: Secured, folder: Path, uid: bytes | None = None, **more: object) -> tuple[Visitor, Path]:
    """Join, and return an agent with the file of its certificate and key."""
    joining = Visitor(place, token=place.token(**more), uid=uid, name="joined")  # type: ignore[arg-type]
    asked = make_request(UUID(bytes=joining.uid))
    certificate = joining.offered(asked.certificate).connection_settings.opamp.certificate
    file = folder / f"{uid_text(joining.uid)}.pem"
    file.write_bytes(asked.key + certificate.cert)
    return joining, file


def test_without_a_token_nobody_comes_in(place: Secured) -> None:
    for wrong in ("", "compose-agent-join-0-wrong"):
        with pytest.raises(InvalidStatus) as refused:
            Visitor(place, token=wrong)
        assert refused.value.response.status_code == 401


def test_a_token_of_the_api_is_none_to_join_with(place: Secured) -> None:
    bearer = token(place.manager, "admin", None).headers["Authorization"].removeprefix("Bearer ")
    with pytest.raises(InvalidStatus):
        Visitor(place, token=bearer)


def test_a_token_is_over_when_it_expires(place: Secured) -> None:
    short = place.token(expires_in=0.5)
    time.sleep(0.6)
    with pytest.raises(InvalidStatus):
        Visitor(place, token=short)


def test_so_many_agents_join_as_a_token_has_uses(place: Secured) -> None:
    twice = place.token(uses=2)
    first, second, third = (Visitor(place, token=twice, name=name) for name in ("one", "two", "three"))
    assert not first.say().HasField("error_response")
    assert not second.say().HasField("error_response")
    assert "used up" in third.say().error_response.error_message
    assert not place.node("three")
    again = Visitor(place, token=twice, uid=first.uid, name="one")
    assert not again.say().HasField("error_response")


@pytest.mark.parametrize(
    ("environments", "told", "shown"),
    [
        (["staging"], "production", "staging"),
        (["staging"], "", "staging"),
        (["staging", "test"], "test", "test"),
        (["staging", "test"], "production", ""),
        (None, "production", "production"),
    ],
)
def test_the_environment_is_one_of_the_token_s(
    environments: list[str] | None, told: str, shown: str, place: Secured
) -> None:
    Visitor(place, token=place.token(environments), deployment_environment_name=told).say()
    node = place.node("by-hand")
    assert node["environment"] == shown
    assert node["attributes"].get("deployment.environment.name", "") == shown


def test_an_agent_comes_back_with_its_certificate(place: Secured, tmp_path: Path) -> None:
    joined, file = certified(place, tmp_path, environments=["staging"])
    Visitor(place, certificate=file, uid=joined.uid, name="joined").say()
    assert (place.state("joined"), place.node("joined")["environment"]) == ("online", "staging")


def test_a_certificate_is_of_one_uid(place: Secured, tmp_path: Path) -> None:
    _, file = certified(place, tmp_path)
    thief = Visitor(place, certificate=file, uid=new_uid(), name="thief")
    assert "another uid" in thief.say().error_response.error_message
    assert not place.node("thief")


def test_a_certificate_that_the_manager_has_not_made_is_none(place: Secured, tmp_path: Path) -> None:
    """One of the same authority, and one of another."""
    server = place.files.key.read_bytes() + place.files.certificate.read_bytes()
    other: Pair = make_authority("another", 1)
    for name, content in (("server.pem", server), ("other.pem", other.key + other.certificate)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((WebSocketException, ssl.SSLError, ConnectionError)):
            Visitor(place, certificate=tmp_path / name).say()


def test_who_joins_cannot_be_an_agent_that_there_is(place: Secured, tmp_path: Path) -> None:
    joined, file = certified(place, tmp_path)
    Visitor(place, certificate=file, uid=joined.uid, name="joined").say()
    forger = Visitor(place, token=place.token(), uid=joined.uid, name="forger")
    reply = forger.say()
    assert reply.agent_identification.new_instance_uid not in {b"", joined.uid}
    assert (place.state("joined"), place.node("forger")) == ("online", {})
    forger.uid = reply.agent_identification.new_instance_uid
    forger.say()
    assert place.state("forger") == "online"


def test_who_joins_one_environment_cannot_take_a_node_of_another(place: Secured) -> None:
    production = Visitor(place, token=place.token(["production"]), name="shop")
    production.say()
    intruder = Visitor(place, token=place.token(["staging"]), uid=production.uid, name="intruder")
    assert intruder.say().agent_identification.new_instance_uid
    assert place.node("shop")["uid"] == uid_text(production.uid)
    assert place.node("shop")["environment"] == "production"
    assert not place.node("intruder")


def test_a_name_may_be_used_in_each_environment(place: Secured) -> None:
    for environment in ("staging", "production"):
        Visitor(place, token=place.token([environment]), name="web").say()
    assert [row["state"] for row in locally(place.manager, "GET", "/api/v1/nodes")[1]["nodes"]] == [
        "online"
    ] * 2


def test_what_is_revoked_ends_at_once(place: Secured, tmp_path: Path) -> None:
    joined, file = certified(place, tmp_path)
    visitor = Visitor(place, certificate=file, uid=joined.uid, name="joined")
    visitor.say()
    status, answer = locally(place.manager, "POST", "/api/v1/nodes/joined/revoke")
    assert (status, answer["revoked"]) == (200, 1)
    with pytest.raises(ConnectionClosed) as ended:
        visitor.hear()
    assert "revoked" in str(ended.value)
    with pytest.raises(InvalidStatus):
        Visitor(place, certificate=file, uid=joined.uid)


def test_credentials_outlive_the_manager(tmp_path: Path) -> None:
    with secured(tmp_path) as place:
        joined, file = certified(place, tmp_path, environments=["staging"])
    with secured(tmp_path) as again:
        Visitor(again, certificate=file, uid=joined.uid, name="joined").say()
        assert again.node("joined")["environment"] == "staging"


def test_the_credential_before_ends_when_the_next_one_is_used(place: Secured, tmp_path: Path) -> None:
    joined, file = certified(place, tmp_path)
    first = Visitor(place, certificate=file, uid=joined.uid, name="joined")
    asked = make_request(UUID(bytes=joined.uid))
    second = tmp_path / "second.pem"
    second.write_bytes(
        asked.key + first.offered(asked.certificate).connection_settings.opamp.certificate.cert
    )
    Visitor(place, certificate=second, uid=joined.uid, name="joined").say()
    held = place.manager.role._access._credentials._of[joined.uid].values()
    until(lambda: sorted(each.expires_at - time.time() < 3601 for each in held) == [False, True])
