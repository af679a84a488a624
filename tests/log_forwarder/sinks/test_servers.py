from __future__ import annotations

import pytest

from compose_agent.address import Address
from log_forwarder.sinks.servers import MOST_RETURN_SECONDS, RETURN_SECONDS, Servers

A, B, C = (Address(name, 24224) for name in "abc")


@pytest.mark.parametrize(
    ("chosen", "order"),
    [((), (A, B, C)), ((A,), (B, C, A)), ((A, B), (C, A, B)), ((A, B, C), (A, B, C))],
)
def test_after_a_failure_the_next_server_is_tried_first(
    chosen: tuple[Address, ...], order: tuple[Address, ...]
) -> None:
    servers = Servers((A, B, C), lambda: 0.0)
    for each in chosen:
        servers.chose(each)
    assert servers.order() == order


def test_a_single_server_is_tried_again() -> None:
    servers = Servers((A,), lambda: 0.0)
    servers.chose(A)
    assert servers.order() == (A,)
    assert not servers.may_return()


def test_the_first_server_is_looked_for_once_in_a_while_from_another_one() -> None:
    now = [0.0]
    servers = Servers((A, B), lambda: now[0])
    servers.chose(A)
    now[0] = 1000.0
    assert not servers.may_return()
    servers.chose(B)
    seen = []
    for _ in range(4):
        now[0] += RETURN_SECONDS / 2
        seen.append(servers.may_return())
    assert seen == [False, True, False, True]


def _seconds_until_return(servers: Servers, now: list[float]) -> float:
    start = now[0]
    while not servers.may_return():
        now[0] += RETURN_SECONDS / 4
    return now[0] - start


def test_a_first_server_that_fails_after_each_return_is_looked_for_less_and_less_often() -> None:
    now = [0.0]
    servers = Servers((A, B), lambda: now[0])
    servers.chose(B)  # the first one was away from the beginning
    pauses = []
    for _ in range(9):
        pauses.append(_seconds_until_return(servers, now) / RETURN_SECONDS)
        servers.chose(A)
        now[0] += RETURN_SECONDS / 2
        servers.chose(B)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    servers.chose(A)
    now[0] += 3 * MOST_RETURN_SECONDS
    servers.chose(B)
    assert _seconds_until_return(servers, now) == RETURN_SECONDS
