"""An actor behind a socket is an actor: what it answers, and what it raises when nobody does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.act import ActApp
from broker.metrics import BrokerMetrics
from compose_agent.address import UnixAddress
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, Standing, VerbRequest
from compose_agent.dockerd.verbs.remote import RemoteActor
from compose_agent.role import ConfigState
from compose_agent.web.response import Response
from compose_agent.web.server import Limits, WebServer
from tests.broker.conftest import RememberingActor

REQUEST = VerbRequest(id="i-1", verb="restart", target="4f" * 32, arguments={"timeout": 3}, reason="é")


@pytest.fixture
def behind() -> RememberingActor:
    return RememberingActor()


@pytest.fixture
def remote(behind: RememberingActor, tmp_path: Path) -> Iterator[RemoteActor]:
    app = ActApp(behind, {"restart"}, BrokerMetrics(ConfigState()))
    path = tmp_path / "act.sock"
    with WebServer(UnixAddress(path), app, limits=Limits(threads=30)):
        yield RemoteActor(path)


def test_a_request_arrives_whole_and_so_does_its_outcome(
    remote: RemoteActor, behind: RememberingActor
) -> None:
    outcome = Outcome(result=Result.FAILED, reason="it did not start", details={"exit_code": 1})
    behind.outcomes["i-1"] = outcome
    assert remote.perform(REQUEST) == outcome
    assert behind.asked == [REQUEST]


def test_the_standing_is_told(remote: RemoteActor) -> None:
    assert remote.standing("i-1") is Standing.UNKNOWN
    remote.perform(REQUEST)
    assert remote.standing("i-1") is Standing.ENDED


def test_what_the_broker_does_not_take_is_refused(remote: RemoteActor, behind: RememberingActor) -> None:
    outcome = remote.perform(VerbRequest(id="i-2", verb="container_create", target="4f" * 32))
    assert outcome.result is Result.REFUSED
    assert "no such verb" in outcome.reason
    assert behind.asked == []


def test_an_unavailable_actor_is_one_here_too(remote: RemoteActor, behind: RememberingActor) -> None:
    behind.fault = ActorUnavailable("the disk is full")
    for ask in (lambda: remote.perform(REQUEST), lambda: remote.standing("i-1")):
        with pytest.raises(ActorUnavailable, match="the disk is full"):
            ask()


def test_a_socket_without_a_broker_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ActorUnavailable, match="not running"):
        RemoteActor(tmp_path / "none.sock").perform(REQUEST)


@pytest.mark.parametrize(
    "answer",
    [
        Response.text(200, "OK"),
        Response.json(200, {"result": "splendid"}),
        Response.json(200, {}),
        Response.text(404, "not found"),
        Response.json(403, {"message": "no"}),
        Response.text(500, "oh"),
    ],
)
def test_another_server_on_the_socket_is_no_actor(answer: Response, tmp_path: Path) -> None:
    path = tmp_path / "other.sock"
    with WebServer(UnixAddress(path), answer), pytest.raises(ActorUnavailable):
        RemoteActor(path).perform(REQUEST)


def test_a_broker_that_dies_meanwhile_is_noticed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "dying.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def die() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=die)
        thread.start()
        with pytest.raises(ActorUnavailable):
            RemoteActor(path).perform(REQUEST)
        thread.join()


def test_many_ask_at_once(remote: RemoteActor, behind: RememberingActor) -> None:
    barrier = threading.Barrier(8)
    behind.before = barrier.wait
    ask: Callable[[int], object] = lambda n: remote.perform(  # noqa: E731
        VerbRequest(id=f"i-{n}", verb="restart", target="4f" * 32)
    )
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(behind.outcomes) == 8
