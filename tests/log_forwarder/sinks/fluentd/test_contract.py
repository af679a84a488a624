"""The sink against the fake and against a real forward server: what is promised holds for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from log_forwarder.sinks.contract import SinkUnavailable
from tests.log_forwarder.sinks.fluentd.samples import (
    DB,
    HOST,
    RECORD,
    TIME_NS,
    batch,
    event,
    sink,
)
from tests.log_forwarder.sinks.fluentd.servers import KINDS, Rig, Setup, deliver, secret, with_tag

USERS = {"shop": "pässword"}


@pytest.fixture(scope="module", params=KINDS)
def open_server(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with KINDS[request.param](Setup()) as rig:
        yield rig


@pytest.fixture(scope="module", params=KINDS)
def guarded_server(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Start a server that asks for a shared key and a user."""
    with KINDS[request.param](Setup(shared_key="key", users=USERS)) as rig:
        yield rig


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_every_event_arrives_once_in_order_and_whole(open_server: Rig, compress: str) -> None:
    tag = f"all.{compress}"
    ours = sink(f"fluentd://127.0.0.1:{open_server.port}?tag={tag}&compress={compress}")
    events = [event(n, f"größe {n} \U0001f600") for n in range(1000)]
    deliver(
        ours, [parcel for at in range(0, 1000, 100) for parcel in ours.encode([batch(events[at : at + 100])])]
    )
    ours.close()
    assert with_tag(open_server, tag, 1000) == [
        (tag, TIME_NS, {**RECORD, "log": each.log, "event_id": each.id}) for each in events
    ]


def test_fields_and_attributes_arrive(open_server: Rig) -> None:
    ours = sink(f"fluentd://127.0.0.1:{open_server.port}?tag=fields")
    deliver(ours, ours.encode([batch([event(1, fields={"a": {"b": [1, None]}}, attrs={"x": "y"})])]))
    ours.close()
    record = with_tag(open_server, "fields", 1)[0][2]
    assert (record["a"], record["attrs"], record["log"]) == ({"b": [1, None]}, {"x": "y"}, "line 1")


def test_the_largest_parcel_is_taken(open_server: Rig) -> None:
    ours = sink(f"fluentd://127.0.0.1:{open_server.port}?tag=large")
    deliver(ours, ours.encode([batch([event(1, "x" * (4 * 1024 * 1024 - 1000)), event(2)])]))
    ours.close()
    assert [len(each[2]["log"]) for each in with_tag(open_server, "large", 2)] == [4 * 1024 * 1024 - 1000, 6]


def test_the_default_tag_names_project_and_service(open_server: Rig) -> None:
    ours = sink(f"fluentd://127.0.0.1:{open_server.port}")
    deliver(ours, ours.encode([batch([event(1)], DB)]))
    ours.close()
    assert with_tag(open_server, "docker.shop.db", 1)


def test_a_shared_key_and_a_user_let_us_in(guarded_server: Rig, tmp_path: Path) -> None:
    key, password = secret(tmp_path, "key", "key\n"), secret(tmp_path, "password", USERS["shop"])
    word = f"fluentd://127.0.0.1:{guarded_server.port}?tag=guarded&shared-key-file={key}"
    ours = sink(f"{word}&user=shop&password-file={password}")
    deliver(ours, ours.encode([batch([event(n) for n in range(10)])]))
    ours.close()
    assert len(with_tag(guarded_server, "guarded", 10)) == 10


@pytest.mark.parametrize(
    ("key", "login", "reason"),
    [
        ("wrong", ("shop", USERS["shop"]), "refused the login .*check shared-key-file="),
        ("key", ("shop", "wrong"), "refused the login .*user=, password-file= and hostname="),
        ("key", ("nobody", "x"), "refused the login "),
        ("key", None, "asks for a user: set user= and password-file="),
    ],
)
def test_who_cannot_log_in_is_told_why(
    guarded_server: Rig, tmp_path: Path, key: str, login: tuple[str, str] | None, reason: str
) -> None:
    word = f"fluentd://127.0.0.1:{guarded_server.port}?shared-key-file={secret(tmp_path, 'key', key)}"
    if login:
        word += f"&user={login[0]}&password-file={secret(tmp_path, 'password', login[1])}"
    with pytest.raises(SinkUnavailable, match=reason) as refused:
        sink(word).connect()
    assert not refused.value.unseen
    assert f"login at 127.0.0.1:{guarded_server.port}: " in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_with_our_own_name_is_refused(kind: str, tmp_path: Path) -> None:
    with KINDS[kind](Setup(shared_key="key", hostname=HOST)) as rig:
        word = f"fluentd://127.0.0.1:{rig.port}?shared-key-file={secret(tmp_path, 'key', 'key')}"
        with pytest.raises(SinkUnavailable, match=r"(our own host|Same host).*hostname="):
            sink(word).connect()


def test_a_server_that_asks_for_a_key_that_is_not_set_is_understood(guarded_server: Rig) -> None:
    ours = sink(f"fluentd://127.0.0.1:{guarded_server.port}")
    with pytest.raises(SinkUnavailable, match="asks for a shared key: set shared-key-file="):
        deliver(ours, ours.encode([batch([event(1)])]))
    ours.close()
