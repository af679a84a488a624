"""Verbs whose end is a state, and signals: what each makes of every state that it can find."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import Behaviour, FakeEngine
from compose_agent.dockerd.verbs.contract import (
    Done,
    Facts,
    Failed,
    InProgress,
    NeverSent,
    Observation,
    Refused,
    Unknown,
)
from compose_agent.dockerd.verbs.registry import VERBS
from tests.dockerd.verbs.acting import asked
from tests.dockerd.watched import until


class Bench:
    """A fake Engine, a container in some state, and a client."""

    def __init__(self, engine: FakeEngine, client: EngineClient) -> None:
        self.engine = engine
        self.client = client
        self.id = engine.add_container("web")

    def put(self, state: str) -> None:
        """Bring the container from running into a state."""
        changes: dict[str, Callable[[], Any]] = {
            "running": lambda: None,
            "paused": lambda: self.client.pause(self.id),
            "exited": lambda: self.engine.die(self.id, 3),
            "gone": lambda: self.engine.remove(self.id),
            "cannot start": self._fail_to_start,
            "restarted": lambda: self.client.restart(self.id, 0, timeout=5),
            "events lost": self._crowd_out,
            "hung up": lambda: self.client.kill(self.id, "1"),
            "killed": lambda: self.client.kill(self.id, "9"),
            "died and events lost": self._die_and_crowd_out,
        }
        changes[state]()
        if state == "killed":  # kill does not wait for the end
            until(lambda: not self.engine.inspect(self.id)["State"]["Running"])
        time.sleep(0.01)

    def prepare(self, verb: str, **arguments: Any) -> Facts:
        facts = VERBS[verb].prepare(self.client, asked(verb, self.id, **arguments))
        time.sleep(0.001)
        return facts

    def observe(self, verb: str, facts: Facts) -> Observation:
        return VERBS[verb].observe(self.client, asked(verb, self.id), facts)

    def _fail_to_start(self) -> None:
        self.engine.behave(self.id, Behaviour(start_error="no such file"))
        with pytest.raises(Exception, match="no such file"):
            self.client.start(self.id)

    def _die_and_crowd_out(self) -> None:
        self.engine.die(self.id, 1)
        self._crowd_out()

    def _crowd_out(self) -> None:
        for number in range(150):
            self.engine.add_container(f"other-{number}")


@pytest.fixture
def bench() -> Iterator[Bench]:
    with FakeEngine() as engine:
        client = EngineClient(Endpoint(engine.url, "test"), timeout=5)
        yield Bench(engine, client)
        client.close()


@pytest.mark.parametrize(
    ("verb", "before", "after", "kind"),
    [
        ("stop", "running", "running", NeverSent),
        ("stop", "running", "exited", Done),
        ("stop", "running", "gone", Failed),
        # Somebody did not want it stopped; it is not fought over.
        ("stop", "running", "restarted", Failed),
        ("stop", "running", "hung up", NeverSent),
        ("start", "exited", "running", NeverSent),
        ("start", "exited", "restarted", Done),
        ("start", "exited", "cannot start", Failed),
        ("start", "exited", "gone", Failed),
        ("pause", "running", "running", NeverSent),
        ("pause", "running", "paused", Done),
        ("pause", "running", "exited", Failed),
        ("pause", "running", "gone", Failed),
        ("unpause", "paused", "running", NeverSent),
        ("unpause", "paused", "restarted", Done),
        ("unpause", "paused", "exited", Failed),
        ("unpause", "paused", "gone", Failed),
        ("kill", "running", "running", NeverSent),
        ("kill", "running", "killed", Done),
        ("kill", "running", "hung up", NeverSent),
        ("kill", "running", "exited", Done),
        ("kill", "running", "events lost", Unknown),
        ("kill", "running", "died and events lost", Done),
        ("kill", "running", "gone", Failed),
    ],
)
def test_what_became_of_it_can_be_seen(
    bench: Bench, verb: str, before: str, after: str, kind: type[Observation]
) -> None:
    bench.put(before)
    facts = bench.prepare(verb)
    bench.put(after)
    assert type(bench.observe(verb, facts)) is kind


@pytest.mark.parametrize(
    ("verb", "before", "details"),
    [
        ("stop", "running", {"exit_code": 0}),
        ("stop", "paused", {"exit_code": 0}),
        ("stop", "exited", {"exit_code": 3}),
        ("start", "exited", {"status": "running"}),
        ("start", "running", {"status": "running"}),
        ("pause", "running", {"status": "paused"}),
        ("unpause", "paused", {"status": "running"}),
        ("kill", "running", {"signal": 9}),
    ],
)
def test_a_call_makes_it_so(bench: Bench, verb: str, before: str, details: dict[str, Any]) -> None:
    bench.put(before)
    facts = bench.prepare(verb)
    VERBS[verb].call(bench.client, asked(verb, bench.id), facts)
    found = bench.observe(verb, facts)
    assert isinstance(found, Done)
    assert details.items() <= found.details.items()


@pytest.mark.parametrize(
    ("verb", "before", "words"),
    [
        ("start", "paused", "web is paused; unpause it instead"),
        ("pause", "exited", "does not run"),
        ("unpause", "exited", "does not run"),
        ("kill", "exited", "does not run"),
        *((verb, "gone", "there is no container") for verb in ("stop", "start", "pause", "unpause", "kill")),
    ],
)
def test_what_cannot_be_is_refused(bench: Bench, verb: str, before: str, words: str) -> None:
    bench.put(before)
    with pytest.raises(Refused, match=words):
        bench.prepare(verb)


def test_a_signal_is_known_by_its_number(bench: Bench) -> None:
    with pytest.raises(Refused, match="there is no signal 'SIGNOPE'"):
        bench.prepare("kill", signal="SIGNOPE")
    facts = bench.prepare("kill", signal="SIGHUP")
    bench.put("killed")
    assert isinstance(bench.observe("kill", facts), Failed)
    bench.client.start(bench.id)
    bench.put("hung up")
    assert isinstance(bench.observe("kill", facts), Done)


def test_the_end_alone_does_not_tell_of_another_signal_when_events_are_lost(bench: Bench) -> None:
    facts = bench.prepare("kill", signal="SIGTERM")
    bench.put("died and events lost")
    assert isinstance(bench.observe("kill", facts), Unknown)


def test_a_stop_under_way_is_waited_for(bench: Bench) -> None:
    bench.engine.behave(bench.id, Behaviour(ignores_term=True))
    facts = bench.prepare("stop", timeout=60)
    bench.client.kill(bench.id, "15")
    assert bench.observe("stop", facts) == InProgress()
