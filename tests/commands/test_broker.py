"""The broker as a user starts it, in front of the fake Engine: both sockets, metrics, locks and signals."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, Standing, VerbRequest
from compose_agent.dockerd.verbs.remote import RemoteActor
from compose_agent.errors import ComposeAgentError, EngineRefused
from compose_agent.web.localclient import LocalClient
from tests.commands.program import PATIENCE_SECONDS, Agent, eventually, host_of

CONFIG = """\
broker:
  web.listen-address: 127.0.0.1:0
  env-allow: PATH
  allow: 'trusted-*'
  budget: {target: 2}
"""
OPTED_IN = {"compose-agent.remediate": "restart"}
ENV = {"Env": ["TOKEN=secret", "PATH=/bin"]}


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started
        started.clear_faults()


@pytest.fixture
def broker(agent: Callable[..., Agent], engine: FakeEngine, tmp_path: Path) -> Agent:
    one = agent(
        "broker", f"--docker.host={engine.url}", f"--state-dir={tmp_path}", config=CONFIG, name="broker"
    )
    eventually(lambda: is_ready(one) or one.process.poll() is not None, "it never was ready")
    assert one.process.poll() is None, one.log
    return one


def is_ready(one: Agent) -> bool:
    try:
        return one.client("broker").ready().ready
    except ComposeAgentError:
        return False


def actor_of(broker: Agent) -> RemoteActor:
    return RemoteActor(broker.run_dir / "act.sock")


def restart(target: str, number: int = 1) -> VerbRequest:
    return VerbRequest(id=f"i-{number}", verb="restart", target=target, arguments={"timeout": 0})


def test_what_is_asked_and_done_through_it(broker: Agent, engine: FakeEngine) -> None:
    made = engine.add_container("web", labels=OPTED_IN, config=ENV)
    client = EngineClient(Endpoint(f"unix://{broker.run_dir}/read.sock", "test"))
    assert client.inspect(made)["Config"]["Env"] == ["TOKEN=<redacted>", "PATH=/bin"]
    with pytest.raises(EngineRefused, match="403"):
        client.remove(made)
    client.close()

    actor = actor_of(broker)
    before = engine.inspect(made)["State"]["StartedAt"]
    assert actor.perform(restart(made)).result is Result.DONE
    assert engine.inspect(made)["State"]["StartedAt"] > before
    assert actor.standing("i-1") is Standing.ENDED
    assert engine.requests()[f"POST /containers/{made}/restart"] == 1
    assert f"uid={os.getuid()}" in broker.log


def test_opt_in_and_budget_are_checked_here_again(broker: Agent, engine: FakeEngine) -> None:
    bare, trusted = engine.add_container("bare"), engine.add_container("trusted-1")
    actor = actor_of(broker)
    refused = actor.perform(restart(bare))
    assert (refused.result, "compose-agent.remediate" in refused.reason) == (Result.REFUSED, True)
    results = [actor.perform(restart(trusted, number)).result for number in (2, 3, 4)]
    assert results == [Result.DONE, Result.DONE, Result.REFUSED]
    assert engine.requests()[f"POST /containers/{bare}/restart"] == 0
    assert engine.requests()[f"POST /containers/{trusted}/restart"] == 2


def test_an_id_is_done_once_also_across_a_kill(
    broker: Agent, engine: FakeEngine, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    made = engine.add_container("web", labels=OPTED_IN)
    first = actor_of(broker).perform(restart(made))
    broker.kill()
    with pytest.raises(ActorUnavailable, match="not running"):
        actor_of(broker).perform(restart(made))
    again = agent(
        "broker", f"--docker.host={engine.url}", f"--state-dir={tmp_path}", config=CONFIG, name="broker"
    )
    eventually(lambda: is_ready(again), "it never was ready again")
    repeated: Outcome = actor_of(again).perform(restart(made))
    assert repeated == first
    assert engine.requests()[f"POST /containers/{made}/restart"] == 1


def test_both_sockets_and_the_metrics_say_how_it_is(broker: Agent, engine: FakeEngine) -> None:
    sockets = [LocalClient(broker.run_dir, name) for name in ("read", "act", "broker")]
    for each in sockets:
        each.healthy()
        assert each.ready().role == "broker"
    engine.stop_engine()
    eventually(lambda: not sockets[0].ready().ready, "it still is ready without an Engine")
    assert "no Engine at" in sockets[1].ready().reasons[0]
    urls = sockets[0].ready().listeners
    assert [url.partition(":")[0] for url in urls] == ["unix", "unix", "http"]
    assert broker.metrics(urls[2])["broker_streams"] == 0
    _, text = sockets[2].request("GET", "/metrics")
    assert b"broker_build_info" in text


@pytest.mark.parametrize("path", ["/v1/verbs/i-1", "/v1/verbs", "/containers/json", "/_ping", "/info"])
def test_its_tcp_listener_has_neither_questions_nor_verbs(broker: Agent, path: str) -> None:
    url = broker.client("broker").ready().listeners[2]
    with closing(http.client.HTTPConnection(host_of(url), timeout=PATIENCE_SECONDS)) as connection:
        for method in ("GET", "POST"):
            connection.request(method, path)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (404, b"not found\n")


def test_the_sockets_are_for_their_group_only(
    agent: Callable[..., Agent], engine: FakeEngine, tmp_path: Path
) -> None:
    config = CONFIG + f"  socket-group: {os.getgid()}\n  read-socket: {tmp_path}/r.sock\n"
    one = agent("broker", f"--docker.host={engine.url}", f"--state-dir={tmp_path}", config=config)
    eventually(lambda: is_ready(one), "it never was ready")
    for path in (tmp_path / "r.sock", one.run_dir / "act.sock"):
        assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o660, os.getgid())
    assert one.end() == 0
    assert not (tmp_path / "r.sock").exists()


def test_a_second_one_on_the_same_state_stops(
    broker: Agent, engine: FakeEngine, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    second = agent(
        "broker", f"--docker.host={engine.url}", f"--state-dir={tmp_path}", config=CONFIG, name="second"
    )
    eventually(lambda: second.process.poll() is not None, "it runs")
    assert second.process.returncode == 6
    assert f"(pid {broker.process.pid})" in second.log
    assert is_ready(broker)


def test_what_is_shown_changes_with_the_configuration(broker: Agent, engine: FakeEngine) -> None:
    engine.add_container("web", config=ENV)
    client = EngineClient(Endpoint(f"unix://{broker.run_dir}/read.sock", "test"))
    (broker.folder / "agent.yml").write_text(CONFIG.replace("PATH", "TOK*"))
    assert broker.client("broker").reload() >= 2
    assert client.inspect("web")["Config"]["Env"] == ["TOKEN=secret", "PATH=<redacted>"]
    client.close()


def test_it_stops_within_seconds_while_a_stream_is_read_and_a_verb_is_waited_for(
    broker: Agent, engine: FakeEngine
) -> None:
    made = engine.add_container("web", labels=OPTED_IN)
    engine.add_fault(Fault(f"POST /containers/{made}/restart", "hang"))
    client = EngineClient(Endpoint(f"unix://{broker.run_dir}/read.sock", "test"))
    with ThreadPoolExecutor(1) as pool, client.events():
        waiting = pool.submit(actor_of(broker).perform, restart(made))
        eventually(lambda: actor_of(broker).standing("i-1") is Standing.STARTED, "it was not begun")
        assert broker.end(signal.SIGTERM) == 0
        with pytest.raises(ActorUnavailable):
            waiting.result()
    client.close()
    assert "Traceback" not in broker.log
