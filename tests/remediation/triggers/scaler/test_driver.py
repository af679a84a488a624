"""The scaler on a fake Engine, with usage that is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage import Readings, Sample
from compose_agent.dockerd.usage.service import ServiceMeter
from remediation.prometheus import PrometheusError
from remediation.triggers.scaler.driver import Answers, Scaler
from remediation.triggers.scaler.rules import Aim, ScaleRule
from tests.dockerd.watched import until, watching
from tests.remediation.triggers.told import Inbox, Memories

LABELS = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.oneoff": "False",
    "compose-agent.scale.metric": "memory",
    "compose-agent.scale.target": "100MiB",
    "compose-agent.scale.max": "4",
}
MIB = 1 << 20
EMPTY = Sample(0.0, None, None, None, None, None, None, None, None, None, None, None, None, {})


class Usage:
    """Gives every container the same use of memory."""

    def __init__(self) -> None:
        self.bytes = 100 * MIB
        self.asked: list[str] = []

    def read(self, containers: Iterable[Container], timeout: float) -> Readings:
        names = [each.id for each in containers]
        self.asked += [each.name for each in containers]
        sample = EMPTY._replace(cpu_seconds=1.0, working_set_bytes=self.bytes)
        return Readings(dict.fromkeys(names, sample), {})


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        started.add_container("shop-web-1", labels=LABELS)
        started.add_container("other")
        yield started


@contextmanager
def scaling(
    inventory: Inventory,
    usage: Usage,
    inbox: Inbox,
    memories: Memories | None = None,
    *,
    ask: Callable[[str], float | None] = lambda _: None,
    rules: Iterable[ScaleRule] = (),
) -> Iterator[Scaler]:
    scaler = Scaler(
        inventory,
        ServiceMeter(usage),
        ask,
        inbox.receive,
        memories or Memories(),
        rules=tuple(rules),
        every=0.02,
    )
    scaler.start()
    try:
        yield scaler
    finally:
        scaler.stop()


def replicas(inbox: Inbox) -> list[str]:
    return [("+" if each.firing else "-") + each.labels["replicas"] for each in inbox.signals]


def test_a_rule_by_labels_becomes_a_decision_and_ends_with_the_deed(engine: FakeEngine) -> None:
    usage, inbox = Usage(), Inbox()
    with watching(engine) as inventory, scaling(inventory, usage, inbox):
        until(lambda: bool(usage.asked))
        assert inbox.signals == []
        usage.bytes = 290 * MIB
        until(lambda: replicas(inbox) == ["+3"])
        usage.bytes = 100 * MIB
        for number in (2, 3):
            engine.add_container(f"shop-web-{number}", labels=LABELS)
        until(lambda: replicas(inbox) == ["+3", "-3"])
    assert set(usage.asked) == {"shop-web-1", "shop-web-2", "shop-web-3"}


def test_a_decision_is_not_told_again_by_the_next_run(engine: FakeEngine) -> None:
    usage, inbox, memories = Usage(), Inbox(), Memories()
    usage.bytes = 290 * MIB
    with watching(engine) as inventory:
        for _ in range(2):
            usage.asked.clear()
            with scaling(inventory, usage, inbox, memories):
                until(lambda: bool(inbox.signals) and len(usage.asked) > 3)
        assert replicas(inbox) == ["+3"]
        engine.remove("shop-web-1")
        with scaling(inventory, usage, inbox, memories):
            until(lambda: replicas(inbox) == ["+3", "-3"])


def test_a_rule_of_the_file_goes_before_labels_and_asks_its_query(engine: FakeEngine) -> None:
    usage, inbox = Usage(), Inbox()
    rule = ScaleRule("shop", "web", "sum(requests)", Aim(10.0), 1, 9)
    absent = ScaleRule("shop", "gone", "sum(requests)", Aim(10.0), 1, 9)
    ask = {"sum(requests)": 75.0}.get
    with watching(engine) as inventory, scaling(inventory, usage, inbox, ask=ask, rules=[rule, absent]):
        until(lambda: replicas(inbox) == ["+5"])  # by four, as the rates allow
    assert usage.asked == []


def test_labels_that_cannot_be_used_are_said(engine: FakeEngine) -> None:
    engine.add_container("wrong", labels={**LABELS, "compose-agent.scale.target": "much"})
    with watching(engine) as inventory, scaling(inventory, Usage(), Inbox()) as scaler:
        until(lambda: "much" in scaler.problems.get("wrong", ""))


def test_answers_come_in_the_background_and_none_when_there_is_none() -> None:
    release, now = threading.Event(), [0.0]
    given: list[float | None] = [5.0]

    def ask(_: str) -> float | None:
        assert release.wait(20)
        if not given:
            raise PrometheusError("nobody is there")
        return given[0]

    answers = Answers(ask, clock=lambda: now[0])
    began = time.monotonic()
    assert answers.value("q") is None
    assert time.monotonic() - began < 10
    release.set()
    until(lambda: answers.value("q") == 5.0)
    given[:] = []
    now[0] += 20.0
    until(lambda: answers.value("q") is None)
    given[:] = [7.0]
    now[0] += 20.0
    until(lambda: answers.value("q") == 7.0)
    answers.close()
