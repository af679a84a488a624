"""Scrapes over the link: whole, bounded, in time, and only what they are for."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import urllib3

from compose_agent.typed import from_msgpack
from compose_agent.web.localclient import LocalAnswer
from compose_agent.web.response import Response
from fleet.agent.relay import parts_of
from fleet.envelopes.relay import ASK, CAPABILITY, MOST_BYTES, PART, PART_BYTES, Ask, Part
from fleet.manager.model import Node
from fleet.manager.relay.api import unpacked
from fleet.manager.relay.relay import MOST_OPEN, Busy, Gone, Relay
from fleet.opamp.uid import new_uid
from lab.prometheus import Prometheus
from tests.fleet.hosting import PLAIN, Host, hosting, metrics_of
from tests.fleet.manager.serving import WAIT_SECONDS, Manager, serving, until

LARGE = "".join(f'large{{number="{at}",text="{at * 7919}"}} {at}\n' for at in range(100_000))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """When it is set the role that is slow answers."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def host(manager: Manager, held: ExitStack, tmp_path: Path, release: threading.Event) -> Host:
    def late() -> str:
        release.wait(WAIT_SECONDS)
        return "late 1\n"

    roles = {
        "exporter": metrics_of(lambda: "up_here 1\n"),
        "logs": metrics_of(lambda: LARGE),
        "remediation": metrics_of(late),
    }
    made = held.enter_context(hosting(tmp_path / "h1", manager.ws, "h1", roles, environment="test"))
    until(lambda: manager.get("/api/v1/nodes/h1").status == 200)
    until(lambda: manager.get("/api/v1/nodes/h1").json()["health"]["parts"].keys() == roles.keys())
    return made


def scrape(manager: Manager, role: str, node: str = "h1", **headers: str) -> tuple[int, str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{manager.url}/api/v1/nodes/{node}/metrics/{role}"
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, headers=named, retries=False, timeout=4 * WAIT_SECONDS)
        return answer.status, answer.headers["Content-Type"], answer.data.decode()


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_roles_metrics_come_as_it_gives_them(coding: str, manager: Manager) -> None:
    assert scrape(manager, "exporter", Accept_Encoding=coding) == (200, PLAIN, "up_here 1\n")
    assert scrape(manager, "logs", Accept_Encoding=coding) == (200, PLAIN, LARGE)


@pytest.mark.usefixtures("host")
def test_what_cannot_be_had_is_said(manager: Manager) -> None:
    assert scrape(manager, "broker")[0] == 404
    assert scrape(manager, "exporter", node="h2")[0] == 404
    status, _, said = scrape(manager, "remediation", X_Prometheus_Scrape_Timeout_Seconds="1.5")
    assert (status, "has not answered within 1 s" in said) == (504, True)
    for odd in ("nan", "-1", "x", "1e99"):
        assert scrape(manager, "exporter", X_Prometheus_Scrape_Timeout_Seconds=odd)[0] == 200


def test_an_agent_that_polls_is_asked_when_it_comes(manager: Manager, tmp_path: Path) -> None:
    with hosting(tmp_path / "h2", manager.url, "h2", {"logs": metrics_of(lambda: "polled 1\n")}) as host:
        host.wait_online(manager)
        until(lambda: scrape(manager, "logs", "h2") == (200, PLAIN, "polled 1\n"))


def test_an_agent_that_is_gone_is_not_waited_for(manager: Manager, host: Host) -> None:
    host.role.stop()
    until(lambda: manager.state("h1") == "offline")
    began = time.monotonic()
    assert scrape(manager, "exporter")[0] == 502
    assert time.monotonic() - began < WAIT_SECONDS / 3


@pytest.mark.usefixtures("host")
def test_many_at_once_hold_up_nobody_else(manager: Manager, release: threading.Event) -> None:
    slow = [threading.Thread(target=scrape, args=(manager, "remediation")) for _ in range(12)]
    for each in slow:
        each.start()
    began = time.monotonic()
    assert manager.get("/").status == 200
    assert any(each.is_alive() for each in slow), time.monotonic() - began
    release.set()
    for each in slow:
        each.join(WAIT_SECONDS)


@pytest.mark.usefixtures("host")
def test_a_real_prometheus_finds_and_scrapes_every_role(manager: Manager) -> None:
    job = {
        "job_name": "fleet",
        "scrape_interval": "5s",
        "http_sd_configs": [{"url": f"{manager.url}/api/v1/http_sd", "refresh_interval": "1s"}],
    }
    with Prometheus({"scrape_configs": [job]}) as prometheus:
        (sample,) = prometheus.wait_for("up_here == 1", 4 * WAIT_SECONDS)
        wanted = {"node_id": "h1", "role": "exporter", "environment": "test", "instance": "h1"}
        assert wanted.items() <= sample.labels.items()
        prometheus.wait_for("count(large) == 100000", 4 * WAIT_SECONDS)


class Sent:
    """Takes what is sent, or refuses it."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there
        self.asked: list[Ask] = []

    def __call__(self, _uid: bytes, capability: str, kind: str, data: bytes) -> bool:
        assert (capability, kind) == (CAPABILITY, ASK)
        self.asked.append(from_msgpack(data, Ask))
        return self.there


def part(number: int, *, last: bool = True, data: bytes = b"x", question: int = 1) -> bytes:
    return msgspec.msgpack.encode(Part(question, number, last, 200, PLAIN, data))


def test_parts_are_put_together_and_others_answers_left_alone() -> None:
    relay, uid = Relay(Sent()), new_uid()
    coming = relay.ask(uid, "exporter", "*/*", 5)
    relay.take(Node(new_uid()), PART, part(0, data=b"forged"))
    relay.take(Node(uid), PART, part(0, question=9))
    relay.take(Node(uid), PART, b"nonsense")
    relay.take(Node(uid), "other", part(0))
    relay.take(Node(uid), PART, part(0, last=False, data=b"a"))
    assert not coming.done()
    relay.take(Node(uid), PART, part(1, data=b"b"))
    assert coming.result(0).body == b"ab"
    assert relay._held == 0


@pytest.mark.parametrize(
    "pieces", [[part(1)], [part(0, last=False), part(2)], [part(0, data=b"x" * (MOST_BYTES + 1))]]
)
def test_an_answer_that_is_not_whole_or_too_long_is_none(pieces: list[bytes]) -> None:
    relay, uid = Relay(Sent()), new_uid()
    coming = relay.ask(uid, "exporter", "*/*", 5)
    for each in pieces:
        relay.take(Node(uid), PART, each)
    assert coming.result(0).status == 502
    assert (relay._held, relay._open) == (0, {})


def test_what_nobody_waits_for_is_forgotten() -> None:
    relay, uid = Relay(Sent()), new_uid()
    coming = relay.ask(uid, "exporter", "*/*", 5)
    relay.take(Node(uid), PART, part(0, last=False))
    coming.cancel()
    relay.take(Node(uid), PART, part(1))
    assert (relay._held, relay._open) == (0, {})
    with pytest.raises(Gone):
        Relay(Sent(there=False)).ask(uid, "exporter", "*/*", 5)
    for _ in range(MOST_OPEN):
        relay.ask(uid, "exporter", "*/*", 5)
    with pytest.raises(Busy):
        relay.ask(uid, "exporter", "*/*", 5)


def test_an_answer_is_sent_in_bounded_pieces() -> None:
    noise = bytes(msgspec.msgpack.encode([hash((at, "x")) for at in range(100_000)]))
    pieces = parts_of(7, LocalAnswer(200, noise, PLAIN))
    assert [one.number for one in pieces] == list(range(len(pieces)))
    assert [one.last for one in pieces] == [False] * (len(pieces) - 1) + [True]
    assert max(len(one.data) for one in pieces) <= PART_BYTES
    assert gzip.decompress(b"".join(one.data for one in pieces)) == noise


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"x" * 100)[:-9]], ids=["other", "cut"])
def test_an_answer_that_does_not_unpack_is_said_to_be_none(body: bytes) -> None:
    assert unpacked(Response(200, body)).status == 502
