"""Nothing is sent to the Engine behind its deadline, neither at first nor after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from compose_agent.boottime import Moment, after, boot_id, clock
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.model import Result, VerbRequest
from compose_agent.dockerd.verbs.pursuit import LATE
from compose_agent.dockerd.verbs.registry import VERBS
from tests.dockerd.verbs.acting import OPTED_IN, acting, asked, cycles

BEFORE_A_REBOOT = Moment("another run of the kernel", 1e12)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as running:
        yield running


def restart_of(target: str, begin_by: Moment) -> VerbRequest:
    return msgspec.structs.replace(asked("restart", target), begin_by=begin_by)


@pytest.mark.parametrize(("seconds", "times"), [(3600.0, 1), (-1.0, 0), (None, 0)])
def test_what_comes_too_late_is_refused(
    engine: FakeEngine, tmp_path: Path, seconds: float | None, times: int
) -> None:
    begin_by = BEFORE_A_REBOOT if seconds is None else after(seconds)
    web = engine.add_container("web", labels=OPTED_IN)
    with acting(engine.url, tmp_path) as actor:
        outcome = actor.perform(restart_of(web, begin_by))
        assert actor.perform(restart_of(web, begin_by)) == outcome
    assert (outcome.result is Result.DONE) is bool(times)
    assert bool(outcome.details.get(LATE)) is not bool(times)
    assert cycles(engine, web) == times


def test_what_was_written_down_and_not_sent_before_a_kill_is_not_sent_late(
    engine: FakeEngine, tmp_path: Path
) -> None:
    web = engine.add_container("web", labels=OPTED_IN)
    request = restart_of(web, after(-1.0))
    client = EngineClient(Endpoint(engine.url, "test"))
    facts = dict(VERBS["restart"].prepare(client, request))
    facts.pop("labels")
    client.close()
    with closing(Journal(tmp_path)) as journal:
        journal.start(request, "web", facts)
    with acting(engine.url, tmp_path) as actor:
        outcome = actor.perform(request)
    assert (outcome.result, outcome.details) == (Result.REFUSED, {LATE: True})
    assert cycles(engine, web) == 0


def test_a_moment_is_of_one_run_of_the_kernel() -> None:
    assert not after(60.0).is_past()
    assert Moment(boot_id(), clock() - 1).is_past()
    assert BEFORE_A_REBOOT.is_past()
    assert 0.0 < after(60.0).left() <= 60.0
    assert BEFORE_A_REBOOT.left() == float("-inf")
