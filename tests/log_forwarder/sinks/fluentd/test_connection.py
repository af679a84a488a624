"""What goes wrong with a connection, and which server is taken then."""

from __future__ import annotations

import socket
from pathlib import Path

import msgpack
import pytest

from lab.loopback import free_port
from log_forwarder import sinks
from log_forwarder.fake.forward import ForwardServer
from log_forwarder.sinks import wire
from log_forwarder.sinks.contract import Confirmation, SinkContext, SinkUnavailable
from log_forwarder.sinks.fluentd.connection import Link
from log_forwarder.sinks.fluentd.options import FluentdOptions
from log_forwarder.sinks.fluentd.sink import FluentdSink
from log_forwarder.sinks.servers import RETURN_SECONDS
from tests.log_forwarder.sinks.fluentd.samples import HOST, batch, event, sink
from tests.log_forwarder.sinks.fluentd.servers import deliver, wait_until
from tests.log_forwarder.sinks.peers import saying


def _clocked(word: str, now: list[float]) -> FluentdSink:
    context = SinkContext("fluentd", HOST, Path("/nonexistent"))
    return FluentdSink(FluentdOptions.read(sinks.parse(word), context), HOST, lambda: now[0])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no acknowledgement"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "no acknowledgement"),
        (b"\xc1", "not the forward protocol"),
        (msgpack.packb({"ack": 1}), "no acknowledgement"),
        (msgpack.packb({"nack": "x"}), "no acknowledgement"),
        (msgpack.packb(b"x" * 2_000_000)[:-1], "not the forward protocol"),
    ],
)
def test_what_is_no_forward_server_is_found_out(data: bytes, reason: str) -> None:
    with saying(data) as port:
        ours = sink(f"fluentd://127.0.0.1:{port}")
        with pytest.raises(SinkUnavailable, match=f"{reason}.*: .*tls=1"):
            deliver(ours, ours.encode([batch([event(1)])]))
        ours.close()


def test_an_answer_in_pieces_is_one_answer() -> None:
    ours, peer = socket.socketpair()
    link = Link(wire.Wire(sink("fluentd://x")._options.servers[0], ours))
    with peer:
        answer = msgpack.packb({"ack": "abc"})
        for byte in answer[:-1]:
            peer.sendall(bytes([byte]))
            assert link.receive(1) == []
        peer.sendall(answer[-1:] + answer)
        assert link.receive(1) == [{b"ack": b"abc"}] * 2
    link.close()


def test_a_server_that_reads_nothing_is_given_up_within_the_deadline() -> None:
    ours, peer = socket.socketpair()
    link = Link(wire.Wire(sink("fluentd://logs:1")._options.servers[0], ours))
    with peer, pytest.raises(SinkUnavailable, match=r"logs:1 took no data for too long \(0\.1 s\)"):
        link.send(bytes(10_000_000), 0.1)
    link.close()


def test_a_server_that_says_no_helo_is_given_up_within_the_deadline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("log_forwarder.sinks.failover.CONNECT_SECONDS", 0.2)
    (tmp_path / "key").write_text("key")
    with saying(b"") as port, pytest.raises(SinkUnavailable, match="sent no HELO, which a shared key needs"):
        sink(f"fluentd://127.0.0.1:{port}?shared-key-file={tmp_path}/key").connect()


def test_a_tls_handshake_that_hangs_is_given_up_within_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("log_forwarder.sinks.failover.CONNECT_SECONDS", 0.2)
    with saying(b"") as port, pytest.raises(SinkUnavailable, match="does not answer: check the address"):
        sink(f"fluentd://127.0.0.1:{port}?tls=1&insecure=1").connect()


def test_a_port_where_nobody_listens_and_a_name_that_does_not_exist_are_told() -> None:
    port = free_port()
    with pytest.raises(SinkUnavailable) as failed:
        sink(f"fluentd://127.0.0.1:{port},nowhere.invalid").connect()
    assert f"127.0.0.1:{port} cannot be reached (Connection refused); nowhere.invalid:24224 cannot" in str(
        failed.value
    )
    assert not failed.value.unseen


def test_a_name_that_cannot_be_one_is_told() -> None:
    with pytest.raises(SinkUnavailable, match="has a name that cannot be looked up"):
        sink(f"fluentd://{'x' * 70}.example").connect()


def test_a_broken_connection_leaves_unseen_what_was_not_acknowledged() -> None:
    with ForwardServer() as server:
        server.faults.die_mid_ack()
        ours = sink(f"fluentd://127.0.0.1:{server.port}")
        with pytest.raises(SinkUnavailable) as failed:
            deliver(ours, ours.encode([batch([event(1)])]))
        assert failed.value.unseen
        ours.close()


def test_a_server_that_reads_and_never_acknowledges_confirms_nothing() -> None:
    with ForwardServer() as server:
        server.faults.hang = True
        ours = sink(f"fluentd://127.0.0.1:{server.port}?ack-timeout=2s")
        assert ours.answer_seconds == 2.0
        ours.connect()
        ours.send(ours.encode([batch([event(1)])])[0])
        wait_until(lambda: server.tally().events == 1, "the chunk is read")
        assert ours.confirmed(0.05) == []
        ours.close()


def test_a_connection_that_ended_while_it_was_idle_is_replaced_without_a_failure() -> None:
    with ForwardServer() as server:
        ours = sink(f"fluentd://127.0.0.1:{server.port}")
        deliver(ours, ours.encode([batch([event(1)])]))
        server.drop_connections()
        (parcel,) = ours.encode([batch([event(2)])])
        ours.send(parcel)
        wait_until(lambda: ours.confirmed(0.1) == [Confirmation(parcel.id)], "the acknowledgement")
        ours.close()
        assert (server.tally().connections, server.tally().events) == (2, 2)


def test_ipv6() -> None:
    with ForwardServer(family=socket.AF_INET6) as server:
        ours = sink(f"fluentd://[::1]:{server.port}")
        deliver(ours, ours.encode([batch([event(1)])]))
        ours.close()
        assert server.tally().events == 1


def test_a_name_with_several_addresses_is_tried_address_by_address() -> None:
    with ForwardServer() as server:  # on 127.0.0.1, while localhost may be ::1 first
        ours = sink(f"fluentd://localhost:{server.port}")
        deliver(ours, ours.encode([batch([event(1)])]))
        ours.close()
        assert server.tally().events == 1


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "fluent.sock"
    with ForwardServer(unix_path=path) as server:
        ours = sink(f"fluentd+unix://{path}")
        deliver(ours, ours.encode([batch([event(1)])]))
        ours.close()
        assert server.tally().events == 1


def test_a_unix_socket_that_is_not_there_is_told() -> None:
    with pytest.raises(SinkUnavailable, match=r"unix:/nowhere/fluent\.sock cannot be reached \(No such file"):
        sink("fluentd+unix:///nowhere/fluent.sock").connect()


def test_the_next_server_takes_over_and_the_first_one_is_taken_again_later() -> None:
    now = [0.0]
    with ForwardServer() as first, ForwardServer() as second:
        ours = _clocked(f"fluentd://127.0.0.1:{first.port},127.0.0.1:{second.port}", now)

        def one(number: int) -> tuple[int, int]:
            (parcel,) = ours.encode([batch([event(number)])])
            ours.send(parcel)
            wait_until(lambda: Confirmation(parcel.id) in ours.confirmed(0.1), "the acknowledgement")
            return first.tally().events, second.tally().events

        ours.connect()
        assert one(1) == (1, 0)
        first.stop()
        ours.connect()
        assert one(2) == (1, 1)
        now[0] += RETURN_SECONDS
        assert one(3) == (1, 2)  # it is still away
        first.start()
        now[0] += RETURN_SECONDS / 2
        assert one(4) == (1, 3)
        now[0] += RETURN_SECONDS / 2
        assert one(5) == (2, 3)
        ours.close()


def test_no_return_while_anything_is_unacknowledged() -> None:
    now = [0.0]
    with ForwardServer() as first, ForwardServer() as second:
        first.stop()
        ours = _clocked(f"fluentd://127.0.0.1:{first.port},127.0.0.1:{second.port}", now)
        ours.connect()
        first.start()
        second.faults.hang = True
        ours.send(ours.encode([batch([event(1)])])[0])
        now[0] += RETURN_SECONDS
        ours.send(ours.encode([batch([event(2)])])[0])
        wait_until(lambda: second.tally().events == 2, "both chunks at the second server")
        assert first.tally().connections == 0
        ours.close()


def test_every_deadline_has_a_name() -> None:
    assert wire.ADDRESS_SECONDS < wire.CONNECT_SECONDS < wire.SEND_SECONDS
