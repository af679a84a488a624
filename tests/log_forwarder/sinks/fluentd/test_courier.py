"""The sink as its courier drives it, against a server with faults: nothing is lost, little comes twice."""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from log_forwarder.couriers.window import WindowCourier
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Batch
from log_forwarder.fake.forward import ForwardServer, server_context
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Confirmation, Parcel
from log_forwarder.sinks.fluentd.sink import FluentdSink
from tests.log_forwarder.sinks.courier import dead_letters
from tests.log_forwarder.sinks.fluentd.samples import DB, WEB, Owner, batch, event, records, sink
from tests.log_forwarder.sinks.fluentd.servers import PATIENCE_SECONDS, Arrivals, wait_until

EVENTS = 20
BATCHES = 40


class Watched:
    """A sink that tells which events were sent more than once, and which of these were confirmed before."""

    def __init__(self, inner: FluentdSink) -> None:
        self._inner = inner
        self.most_bytes = 2000  # of source: a parcel for every batch
        self.window = inner.window
        self.answer_seconds = inner.answer_seconds
        self.trouble = ""
        self.attempts: Counter[str] = Counter()
        self.resent_although_confirmed: list[str] = []
        self.resent: set[str] = set()
        self._confirmed: set[str] = set()
        self.encode = inner.encode
        self.connect = inner.connect
        self.close = inner.close

    def send(self, parcel: Parcel) -> None:
        self.attempts[parcel.id] += 1
        if self.attempts[parcel.id] > 1:
            self.resent.update(record["event_id"] for record in records(parcel))
        if parcel.id in self._confirmed:
            self.resent_although_confirmed.append(parcel.id)
        self._inner.send(parcel)

    def confirmed(self, wait: float) -> list[Confirmation]:
        found = self._inner.confirmed(wait)
        self._confirmed.update(each.id for each in found)
        return found


@dataclass
class Delivery:
    sink: Watched
    outbox: Outbox
    owner: Owner
    courier: WindowCourier
    batches: list[Batch]

    @property
    def ids(self) -> list[str]:
        return [each.id for one in self.batches for each in one.events]

    def put(self) -> None:
        for each in self.batches:
            assert self.outbox.put(each, PATIENCE_SECONDS)

    def done(self) -> bool:
        return len(self.owner.batches) == len(self.batches)


Delivering = Callable[[str], AbstractContextManager["Delivery"]]


@pytest.fixture
def delivering(tmp_path: Path) -> Delivering:
    return lambda word: _delivering(word, tmp_path)


@contextmanager
def _delivering(word: str, folder: Path) -> Iterator[Delivery]:
    owner = Owner()
    batches = [
        batch([event(n * EVENTS + at) for at in range(EVENTS)], DB if n % 3 else WEB, owner)
        for n in range(BATCHES)
    ]
    watched, outbox, abandon, stop = Watched(sink(word)), Outbox(10**9), threading.Event(), threading.Event()
    courier = WindowCourier("fluentd", watched, outbox, DeadLetters(folder), abandon)
    thread = threading.Thread(target=courier.run, args=(stop,))
    thread.start()
    try:
        yield Delivery(watched, outbox, owner, courier, batches)
    finally:
        stop.set()
        abandon.set()
        outbox.close()
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals()


@pytest.fixture
def server(arrivals: Arrivals) -> Iterator[ForwardServer]:
    with ForwardServer(on_event=arrivals) as started:
        yield started


def _in_order(ids: list[str]) -> list[str]:
    """Return ids by their first arrival."""
    return list(dict.fromkeys(ids))


def test_without_faults_everything_arrives_once_in_order(
    server: ForwardServer, arrivals: Arrivals, delivering: Delivering
) -> None:
    with delivering(f"fluentd://127.0.0.1:{server.port}") as delivery:
        delivery.put()
        wait_until(delivery.done, "all batches settled")
    assert sorted(arrivals.ids()) == sorted(delivery.ids)
    for container in (WEB, DB):
        own = [record["event_id"] for _, _, record in arrivals.all if record["container_id"] == container.id]
        assert own == sorted(own)
    assert delivery.courier.health.retried == 0


class Amidst:
    """Has a server acknowledge some chunks and then no more, so that a fault finds something unconfirmed."""

    def __init__(self, server: ForwardServer, events: int) -> None:
        self._server = server
        self._events = events
        self._over = False
        self._arrived = server._on_event
        server._on_event = self._arrives

    def _arrives(self, tag: str, time_ns: int, record: Any) -> None:
        # Under the server's lock.
        assert self._arrived is not None
        self._arrived(tag, time_ns, record)
        if not self._over and self._server._tally.events > self._events:
            self._server.faults.hang = True

    def happens(self, fault: Callable[[], None]) -> None:
        """Wait until it is so, let the fault happen, and acknowledge again what comes then."""
        wait_until(lambda: self._server.faults.hang, "some chunks")
        fault()
        with self._server._lock:
            self._over, self._server.faults.hang = True, False


# Each prepares a fault, and returns what is to be done while batches are delivered.


def _die(server: ForwardServer, *, stored: bool) -> Callable[[], None]:
    server.faults.die_mid_ack(2, stored=stored)
    return lambda: None


def _drop(server: ForwardServer) -> Callable[[], None]:
    amidst = Amidst(server, 3 * EVENTS)
    return lambda: amidst.happens(server.drop_connections)


def _outage(server: ForwardServer, times: int = 1) -> Callable[[], None]:
    amidst = Amidst(server, 3 * EVENTS)

    def restart() -> None:
        for _ in range(times):
            server.stop()
            server.start()

    return lambda: amidst.happens(restart)


def _hang(server: ForwardServer) -> Callable[[], None]:
    server.faults.hang = True

    def goes_on() -> None:
        wait_until(lambda: server.tally().connections > 1, "a second connection")
        server.faults.hang = False

    return goes_on


@pytest.mark.parametrize(
    "fault",
    [
        lambda server: _die(server, stored=True),
        lambda server: _die(server, stored=False),
        _drop,
        _outage,
        lambda server: _outage(server, times=5),
        _hang,
    ],
    ids=["die after storing", "die before storing", "drop connections", "outage", "restarts", "hang"],
)
@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_everything_arrives_and_only_what_was_unconfirmed_comes_twice_with_the_same_ids(
    server: ForwardServer,
    arrivals: Arrivals,
    delivering: Delivering,
    fault: Callable[[ForwardServer], Callable[[], None]],
    compress: str,
) -> None:
    word = f"fluentd://127.0.0.1:{server.port}?ack-timeout=300ms&compress={compress}"
    with delivering(word) as delivery:
        server.faults.late_seconds = 0.05  # so that something is unconfirmed whenever the fault comes
        trouble = threading.Thread(target=fault(server))
        trouble.start()
        delivery.put()
        trouble.join()
        wait_until(delivery.done, "all batches settled")
    ids = arrivals.ids()
    assert set(ids) == set(delivery.ids)
    assert delivery.courier.health.retried > 0
    assert delivery.sink.resent_although_confirmed == []
    assert {each for each, times in Counter(ids).items() if times > 1} <= delivery.sink.resent
    for container in (WEB, DB):
        own = [record["event_id"] for _, _, record in arrivals.all if record["container_id"] == container.id]
        assert _in_order(own) == sorted(set(own))


@pytest.mark.parametrize(
    ("poisoned", "secure"),
    [
        (range(405, 406), False),
        (range(3), False),
        (range(EVENTS * BATCHES - 2, EVENTS * BATCHES), False),
        (range(405, 406), True),
    ],
    ids=["one", "the first", "the last", "TLS"],
)
def test_lines_at_which_the_server_dies_are_dead_letters_and_all_others_arrive_in_order(
    arrivals: Arrivals, delivering: Delivering, tmp_path: Path, poisoned: range, *, secure: bool
) -> None:
    with ForwardServer(on_event=arrivals, tls=_tls(tmp_path) if secure else None) as server:
        server.faults.poison = "poison"
        options = f"?tls=1&ca={tmp_path}/ca.pem" if secure else ""
        with delivering(f"fluentd://127.0.0.1:{server.port}{options}") as delivery:
            for number in poisoned:
                delivery.batches[number // EVENTS].events[number % EVENTS].log = "poison"
            delivery.put()
            wait_until(delivery.done, "all batches settled")
            tally = delivery.outbox.tally()
    wanted = [each.id for one in delivery.batches for each in one.events if each.log != "poison"]
    assert (tally.sent, tally.dead_lettered) == (len(wanted), len(poisoned))
    assert set(arrivals.ids()) == set(wanted)
    dead = [letter["event"]["id"] for letter in dead_letters(tmp_path)]
    assert dead == [event(number).id for number in poisoned]
    for container in (WEB, DB):
        arrived = iter([r["event_id"] for _, _, r in arrivals.all if r["container_id"] == container.id])
        own = [e.id for b in delivery.batches if b.container is container for e in b.events if e.id in wanted]
        assert all(each in arrived for each in own)  # in this order, whatever else came twice


def _tls(folder: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return server_context(folder / "server.pem")


def test_late_acknowledgements_settle_everything_once(
    server: ForwardServer, arrivals: Arrivals, delivering: Delivering
) -> None:
    server.faults.late_seconds = 0.05
    with delivering(f"fluentd://127.0.0.1:{server.port}") as delivery:
        delivery.put()
        wait_until(delivery.done, "all batches settled")
    assert sorted(arrivals.ids()) == sorted(delivery.ids)


def test_a_refused_login_is_told_and_delivery_goes_on_when_it_is_accepted(
    arrivals: Arrivals, delivering: Delivering, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = tmp_path_factory.mktemp("key") / "key"
    key.write_text("key")
    with ForwardServer(on_event=arrivals, shared_key="key") as server:
        server.faults.refusal = "maintenance"
        with delivering(f"fluentd://127.0.0.1:{server.port}?shared-key-file={key}") as delivery:
            delivery.put()
            wait_until(lambda: "(maintenance)" in delivery.courier.health.error, "the reason")
            server.faults.refusal = ""
            wait_until(delivery.done, "all batches settled")
            wait_until(lambda: delivery.courier.health.error == "", "health")
    assert sorted(arrivals.ids()) == sorted(delivery.ids)


def test_the_second_server_takes_over_when_the_first_one_goes(
    arrivals: Arrivals, delivering: Delivering
) -> None:
    with ForwardServer(on_event=arrivals) as first, ForwardServer(on_event=arrivals) as second:
        with delivering(f"fluentd://127.0.0.1:{first.port},127.0.0.1:{second.port}") as delivery:
            first.faults.late_seconds = 0.02
            amidst = Amidst(first, EVENTS)
            trouble = threading.Thread(target=amidst.happens, args=(first.stop,))
            trouble.start()
            delivery.put()
            trouble.join()
            wait_until(delivery.done, "all batches settled")
        assert second.tally().events > 0
    assert set(arrivals.ids()) == set(delivery.ids)
