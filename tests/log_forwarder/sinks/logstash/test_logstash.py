"""The sink against Elastic's own server, and what goes wrong with connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from compose_agent import __version__
from compose_agent.errors import ConfigError
from lab.forward_node import TlsFiles
from lab.loopback import free_port
from lab.lumberjack import Lumberjack
from log_forwarder.event import Batch
from log_forwarder.sinks import make_sink, parse
from log_forwarder.sinks.contract import Parcel, SinkContext, SinkUnavailable
from log_forwarder.sinks.logstash.options import LogstashOptions
from log_forwarder.sinks.logstash.sink import LogstashSink
from log_forwarder.sinks.servers import RETURN_SECONDS
from tests.log_forwarder.making import until
from tests.log_forwarder.sinks.courier import Delivery, dead_letters
from tests.log_forwarder.sinks.lines import batch, event, numbered
from tests.log_forwarder.sinks.logstash.touchy import TouchyProxy
from tests.log_forwarder.sinks.peers import saying

PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def server() -> Iterator[Lumberjack]:
    with Lumberjack() as started:
        yield started


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    ours, other = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, authority in (("server", ours), ("client", ours), ("stranger", other)):
        leaf = authority.issue_cert("127.0.0.1" if name == "server" else name)
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    return folder


def context() -> SinkContext:
    return SinkContext("logstash", "host-1", Path("/nonexistent"))


def sink(word: str) -> LogstashSink:
    made = make_sink(parse(word), context())
    assert isinstance(made, LogstashSink)
    return made


def deliver(ours: LogstashSink, parcels: list[Parcel]) -> None:
    """Send parcels on an open connection, and wait until all are confirmed."""
    waiting = {parcel.id for parcel in parcels}
    for parcel in parcels:
        ours.send(parcel)

    def confirmed() -> bool:
        waiting.difference_update(each.id for each in ours.confirmed(0.1))
        return not waiting

    until(confirmed, PATIENCE_SECONDS)


def connect_and_deliver(ours: LogstashSink, sent: Batch) -> None:
    ours.connect()
    try:
        deliver(ours, ours.encode([sent]))
    finally:
        ours.close()


def lines(server: Lumberjack, of: Batch) -> list[str]:
    """Return the lines that a server has of a batch, in the order of arrival."""
    wanted = {each.id for each in of.events}
    until(lambda: wanted <= {each["event"]["id"] for each in server.events()})
    return [each["message"] for each in server.events() if each["event"]["id"] in wanted]


def test_a_document_is_what_the_elasticsearch_sink_stores_with_what_beats_add(server: Lumberjack) -> None:
    ours = sink(f"logstash://127.0.0.1:{server.port}")
    sent = batch([event(900, "größe \U0001f600 \ud800")])
    connect_and_deliver(ours, sent)
    until(lambda: any(each["event"]["id"] == sent.events[0].id for each in server.events()))
    (found,) = (each for each in server.events() if each["event"]["id"] == sent.events[0].id)
    assert found["@metadata"] == {
        "beat": "compose-agent",
        "type": "_doc",
        "version": __version__,
        "_id": sent.events[0].id,
    }
    assert (found["message"], found["@timestamp"]) == ("größe \U0001f600 ?", sent.events[0].time)
    assert (found["container"]["name"], found["host"], found["service"]) == (
        "shop-web-1",
        {"name": "host-1"},
        {"name": "web"},
    )
    assert "data_stream" not in found


@pytest.mark.parametrize(("compress", "first"), [("zlib", 1000), ("none", 20_000)])
def test_every_event_arrives_once_in_order(server: Lumberjack, compress: str, first: int) -> None:
    ours = sink(f"logstash://127.0.0.1:{server.port}?compress={compress}")
    sent = numbered(first, first + 9000)
    ours.connect()
    parcels = ours.encode([sent])
    assert len(parcels) == 5
    deliver(ours, parcels)
    ours.close()
    assert lines(server, sent) == [f"line {n}" for n in range(first, first + 9000)]


def test_a_long_line_is_taken(server: Lumberjack) -> None:
    ours = sink(f"logstash://127.0.0.1:{server.port}")
    sent = batch([event(901, "x" * 8 * 2**20), event(902)])
    connect_and_deliver(ours, sent)
    assert [len(each) for each in lines(server, sent)] == [8 * 2**20, 8]


def test_a_server_that_is_busy_is_waited_for_as_long_as_it_lives() -> None:
    with Lumberjack(pause_s=4.5, keepalive_s=0.1) as server:
        ours = sink(f"logstash://127.0.0.1:{server.port}?ack-timeout=3s")
        connect_and_deliver(ours, numbered(0, 10))
        assert len(server.events()) == 10


def test_a_server_that_gives_no_sign_of_life_is_given_up_and_what_it_had_is_sent_again(
    tmp_path: Path,
) -> None:
    with Lumberjack() as server:
        server.process.freeze()
        word = f"logstash://127.0.0.1:{server.port}?ack-timeout=300ms"
        delivery = Delivery(sink(word), tmp_path, [numbered(0, 100)])
        until(lambda: "no sign of life within 0.3 s" in delivery.courier.health.error)
        server.process.thaw()
        assert delivery.finish().sent == 100
        assert {each["message"] for each in server.events()} == {f"line {n}" for n in range(100)}


def test_nothing_is_lost_when_the_server_is_killed_in_between(tmp_path: Path) -> None:
    with Lumberjack(pause_s=0.02) as server:
        batches = [numbered(at, at + 50) for at in range(0, 5000, 50)]
        ours = sink(f"logstash://127.0.0.1:{server.port}?window=2")
        ours.most_bytes = 5000  # of source: a window for each batch
        delivery = Delivery(ours, tmp_path, batches)
        for share in (1000, 3000):
            server.wait_for(share)
            server.process.close()
            server.process.start()
        assert delivery.finish().sent == 5000
        messages = [each["message"] for each in server.events()]
    assert list(dict.fromkeys(messages)) == [f"line {n}" for n in range(5000)]
    assert len(messages) <= 5000 + 2 * 2 * 50


def test_a_line_at_which_the_server_ends_each_connection_is_a_dead_letter_and_all_others_arrive(
    tmp_path: Path,
) -> None:
    with Lumberjack() as server, TouchyProxy(server.port, b"poison") as proxy:
        lines = [event(n, "poison" if n == 70 else "") for n in range(100)]
        ours = sink(f"logstash://127.0.0.1:{proxy.port}?compress=none")
        ours.most_bytes = 5000  # of source: a window for each batch
        delivery = Delivery(ours, tmp_path, [batch(lines[at : at + 20]) for at in range(0, 100, 20)])
        tally = delivery.finish()
        found = iter([each["event"]["id"] for each in server.events()])
    assert (tally.sent, tally.dead_lettered) == (99, 1)
    (letter,) = dead_letters(tmp_path)
    assert letter["event"]["id"] == lines[70].id
    assert "the peer ended 3 connections on which it took another" in letter["reason"]
    assert all(each.id in found for each in lines if each.log != "poison")


def test_a_connection_that_ended_while_idle_is_replaced_without_a_failure() -> None:
    with Lumberjack() as server:
        ours = sink(f"logstash://127.0.0.1:{server.port}")
        ours.connect()
        deliver(ours, ours.encode([numbered(0, 1)]))
        server.process.close()
        server.process.start()
        deliver(ours, ours.encode([numbered(1, 2)]))
        ours.close()
        assert [each["message"] for each in server.wait_for(2)] == ["line 0", "line 1"]


def test_another_server_takes_over_and_the_first_one_is_returned_to(server: Lumberjack) -> None:
    now = [0.0]
    with Lumberjack() as first:
        word = parse(f"logstash://127.0.0.1:{first.port},127.0.0.1:{server.port}")
        ours = LogstashSink(LogstashOptions.read(word), "host-1", lambda: now[0])
        first.process.close()
        ours.connect()
        deliver(ours, ours.encode([numbered(950, 951)]))
        first.process.start()
        now[0] += RETURN_SECONDS
        deliver(ours, ours.encode([numbered(951, 952)]))
        ours.close()
        assert [each["message"] for each in first.events()] == ["line 951"]


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_keeps_others_out(certificates: Path, *, mutual: bool) -> None:
    pem = certificates / "server.pem"
    with Lumberjack(tls=TlsFiles(pem, pem, certificates / "ca.pem" if mutual else None)) as server:
        word = f"logstash://127.0.0.1:{server.port}?tls=1&ca={certificates}/ca.pem"
        ours = sink(word + (f"&cert={certificates}/client.pem" if mutual else ""))
        connect_and_deliver(ours, numbered(0, 3))
        assert len(server.wait_for(3)) == 3
        if mutual:
            stranger = sink(f"{word}&cert={certificates}/stranger.pem")
            with pytest.raises(SinkUnavailable, match=r"refuses our certificate|it may want cert="):
                connect_and_deliver(stranger, numbered(3, 4))
        with pytest.raises(SinkUnavailable, match=r"is not trusted .*: name its authority with ca="):
            sink(f"logstash://127.0.0.1:{server.port}?tls=1").connect()


def test_a_port_with_tls_is_not_spoken_to_without(certificates: Path) -> None:
    pem = certificates / "server.pem"
    with Lumberjack(tls=TlsFiles(pem, pem)) as server:
        ours = sink(f"logstash://127.0.0.1:{server.port}")
        ours.connect()
        with pytest.raises(SinkUnavailable, match="tls=1"):
            deliver(ours, ours.encode([numbered(0, 1)]))
        ours.close()


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"HTTP/1.1 400 Bad Request\r\n", "not Lumberjack v2"), (b"2A\0\0\0\x09", "acknowledged event 9 of ")],
)
def test_a_server_of_another_kind_is_found_out(data: bytes, reason: str) -> None:
    with saying(data) as port:
        ours = sink(f"logstash://127.0.0.1:{port}")
        ours.connect()
        with pytest.raises(SinkUnavailable, match=reason):
            deliver(ours, ours.encode([numbered(0, 2)]))
        ours.close()


def test_each_server_that_cannot_be_reached_is_told() -> None:
    ports = free_port(), free_port()
    ours = sink(f"logstash://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")
    with pytest.raises(SinkUnavailable) as failed:
        ours.connect()
    assert all(f"127.0.0.1:{port} cannot be reached" in str(failed.value) for port in ports)
    assert not failed.value.unseen


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("logstash://", "expected host:port"),
        ("logstash://h/index", "'/index' means nothing here"),
        ("logstash://h?window=17", "window: expected a whole number from 1 to 16, not '17'"),
        ("logstash://h?compress=gzip", "compress: expected one of zlib, none"),
        ("logstash://h?ca=/x", "ca: has a meaning only with tls=1"),
        ("logstash://h?ack-timeout=0", "ack-timeout: expected a duration above 0"),
    ],
)
def test_a_word_that_is_wrong_is_refused(word: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make_sink(parse(word), context())
