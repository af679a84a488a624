from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator

import pytest

from compose_agent.address import Address
from compose_agent.errors import ListenError
from compose_agent.web.listeners import Listeners
from compose_agent.web.response import Response
from lab.loopback import free_port

# What an answer may take on a loaded machine.
PATIENCE_SECONDS = 20.0


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    made = Listeners(Response.text(200, "here"))
    yield made
    made.stop()


def answers(address: Address) -> bool:
    connection = http.client.HTTPConnection(
        address.host or "127.0.0.1", address.port, timeout=PATIENCE_SECONDS
    )
    try:
        connection.request("GET", "/")
        return connection.getresponse().read() == b"here\n"
    except ConnectionRefusedError:
        return False
    finally:
        connection.close()


def test_it_serves_on_every_address_in_order(listeners: Listeners) -> None:
    addresses = [Address("127.0.0.1", free_port()), Address("127.0.0.2", free_port("127.0.0.2"))]
    listeners.bind(addresses)
    listeners.start()
    assert all(map(answers, addresses))
    assert listeners.urls() == tuple(f"http://{address}" for address in addresses)


def test_one_address_that_cannot_be_bound_leaves_none(listeners: Listeners) -> None:
    good = Address("127.0.0.1", free_port())
    with pytest.raises(ListenError):
        listeners.bind([good, Address("203.0.113.7", 1)])
    assert not answers(good)


def test_a_change_serves_on_exactly_the_new_addresses(listeners: Listeners) -> None:
    one, two, three = (Address("127.0.0.1", free_port()) for _ in range(3))
    listeners.bind([one, two])
    listeners.start()
    listeners.change([three, two])
    assert [answers(each) for each in (one, two, three)] == [False, True, True]
    assert listeners.urls() == (f"http://{three}", f"http://{two}")


def test_a_change_that_fails_changes_nothing(listeners: Listeners) -> None:
    one, two = (Address("127.0.0.1", free_port()) for _ in range(2))
    listeners.bind([one])
    listeners.start()
    with pytest.raises(ListenError):
        listeners.change([two, Address("203.0.113.7", 1)])
    assert (answers(one), answers(two)) == (True, False)
    assert listeners.urls() == (f"http://{one}",)


def test_all_interfaces_may_follow_one_on_the_same_port_and_the_other_way_round(
    listeners: Listeners,
) -> None:
    port = free_port()
    listeners.bind([Address("127.0.0.1", port)])
    listeners.start()
    listeners.change([Address("", port)])
    assert answers(Address("127.0.0.2", port))
    listeners.change([Address("127.0.0.1", port)])
    assert answers(Address("127.0.0.1", port))
    assert not answers(Address("127.0.0.2", port))


def test_what_was_closed_for_a_change_that_fails_serves_again(listeners: Listeners) -> None:
    port = free_port()
    listeners.bind([Address("127.0.0.1", port)])
    listeners.start()
    with pytest.raises(ListenError):
        listeners.change([Address("", port), Address("203.0.113.7", 1)])
    assert answers(Address("127.0.0.1", port))
    assert not answers(Address("127.0.0.2", port))


def test_no_request_is_lost_while_addresses_come_and_go(listeners: Listeners) -> None:
    kept = Address("127.0.0.1", free_port())
    listeners.bind([kept])
    listeners.start()
    lost, stop = [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            if not answers(kept):
                lost.append(kept)

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(10):
        listeners.change([kept, Address("127.0.0.1", free_port())])
    stop.set()
    asking.join()
    assert lost == []
