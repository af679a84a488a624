"""The copy of our own log for Fluentd: what arrives, and that a peer that is away costs nothing."""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from compose_agent import log, log_fluentd
from compose_agent.address import Address
from compose_agent.log_fluentd import FluentdHandler
from lab.loopback import free_port
from log_forwarder.fake.forward import ForwardServer

PATIENCE_SECONDS = 20.0
# What a loaded machine may take more than it should; who hangs does so for longer.
SLACK_SECONDS = 5.0
logger = logging.getLogger("exporter.x")


@pytest.fixture(autouse=True)
def stream() -> Iterator[io.StringIO]:
    """What stands on standard error; the root logger is given back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield io.StringIO()
    log.setup(stream=io.StringIO())  # closes what a test set up
    root.handlers[:] = handlers
    root.setLevel(level)


class Server:
    """A server of the forward protocol that keeps what it gets."""

    def __init__(self, port: int = 0) -> None:
        self.events: list[tuple[str, int, Any]] = []
        self.server = ForwardServer(port, on_event=lambda *event: self.events.append(event))
        self.server.start()

    def wait_for(self, count: int) -> list[Any]:
        """Return the records, once there are so many."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.events) < count:
            assert time.monotonic() < deadline, self.events
            time.sleep(0.01)
        return [record for _, _, record in self.events]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.server.stop()


@pytest.fixture
def silent() -> Iterator[Address]:
    """A peer that takes connections and never reads, with next to no buffer."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield Address("127.0.0.1", listener.getsockname()[1])


def set_up(port: int, stream: io.StringIO) -> FluentdHandler:
    handler = FluentdHandler(Address("127.0.0.1", port), "compose-agent.exporter")
    log.setup(stream=stream, copies=[handler])
    return handler


def test_a_record_arrives_with_its_fields_and_stays_on_standard_error(
    server: Server, stream: io.StringIO
) -> None:
    set_up(server.server.port, stream)
    before = time.time_ns()
    logger.warning("event stream lost %d times", 3, extra={"error": "gone", "revision": 2})
    server.wait_for(1)
    ((tag, moment, record),) = server.events
    assert tag == "compose-agent.exporter"
    assert before - 10**6 < moment < time.time_ns()
    assert record == {
        "hostname": socket.gethostname(),
        "message": "event stream lost 3 times",
        "level": "warning",
        "logger": "exporter.x",
        "error": "gone",
        "revision": 2,
    }
    assert stream.getvalue().count("event stream lost 3 times") == 1


def test_odd_values_and_exceptions_arrive(server: Server, stream: io.StringIO) -> None:
    set_up(server.server.port, stream)
    try:
        raise ValueError("no good")  # noqa: TRY301 - what is logged is an exception that was caught
    except ValueError:
        logger.exception(
            "half \udce4", extra={"big": 2**70, "at": Address("h", 1), "seen": [1, None, {"a": 2}]}
        )
    (record,) = server.wait_for(1)
    assert record["message"] == "half ?"
    assert (record["big"], record["at"], record["seen"]) == (str(2**70), "h:1", [1, None, {"a": 2}])
    assert "ValueError: no good" in record["exception"]


def test_a_message_that_cannot_be_formatted_ends_no_thread(
    server: Server, stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(server.server.port, stream)
    logger.warning("%d", "x")
    logger.warning("next")
    assert [each["message"] for each in server.wait_for(1)] == ["next"]
    assert "Logging error" in capsys.readouterr().err


def test_nothing_waits_for_a_peer_that_is_away_and_what_is_kept_goes_first_when_it_is_back(
    stream: io.StringIO,
) -> None:
    port = free_port()
    set_up(port, stream)
    logger.warning("while it is away")
    time.sleep(0.2)
    server = Server(port)
    try:
        logger.warning("when it is back")
        found = [each["message"] for each in server.wait_for(2)]
    finally:
        server.server.stop()
    assert found == ["while it is away", "when it is back"]


def test_a_peer_that_never_reads_costs_the_oldest_records_and_no_time(
    silent: Address, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_fluentd, "QUEUE_RECORDS", 10)
    monkeypatch.setattr(log_fluentd, "BUFFER_BYTES", 10_000)
    handler = FluentdHandler(silent, "tag")
    log.setup(stream=stream, copies=[handler])
    begin = time.monotonic()
    for number in range(200):
        logger.warning("line %d", number, extra={"filling": "x" * 100_000})
    assert time.monotonic() - begin < 10  # 200 times a second's timeout would be minutes
    assert handler.lost > 100
    assert stream.getvalue().count('msg="line ') == 200
    told = stream.getvalue().count("lines of this log did not reach Fluentd")
    assert told == 1


def test_records_that_a_full_buffer_gives_up_are_counted(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_fluentd, "BUFFER_BYTES", 1000)
    handler = set_up(free_port(), stream)
    deadline = time.monotonic() + PATIENCE_SECONDS
    sent = 0
    while not handler.lost:
        assert time.monotonic() < deadline
        logger.warning("x" * 200)
        sent += 1
        time.sleep(0.01)
    assert 1 < handler.lost <= sent


def test_the_end_waits_a_moment_for_what_is_on_its_way(
    server: Server, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The moment is long enough for a loaded machine too.
    monkeypatch.setattr(log_fluentd, "CLOSE_SECONDS", PATIENCE_SECONDS)
    handler = set_up(server.server.port, stream)
    for number in range(500):
        logger.warning("line %d", number)
    handler.close()
    assert [each["message"] for each in server.wait_for(500)] == [f"line {n}" for n in range(500)]
    logger.warning("after the end")
    handler.close()
    time.sleep(0.1)
    assert len(server.events) == 500


def test_the_end_does_not_wait_for_a_peer_that_hangs(silent: Address, stream: io.StringIO) -> None:
    handler = FluentdHandler(silent, "tag")
    log.setup(stream=stream, copies=[handler])
    for _ in range(100):
        logger.warning("x" * 100_000)
    begin = time.monotonic()
    handler.close()
    assert time.monotonic() - begin < log_fluentd.CLOSE_SECONDS + SLACK_SECONDS
    logger.warning("nobody waits after it either")
    assert time.monotonic() - begin < log_fluentd.CLOSE_SECONDS + SLACK_SECONDS


def test_many_threads_log_at_once(server: Server, stream: io.StringIO) -> None:
    set_up(server.server.port, stream)

    def talk(name: int) -> None:
        for number in range(50):
            logger.warning("%d", number, extra={"thread_number": name})

    threads = [threading.Thread(target=talk, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = server.wait_for(400)
    for name in range(8):
        mine = [each["message"] for each in found if each["thread_number"] == name]
        assert mine == [str(number) for number in range(50)]
