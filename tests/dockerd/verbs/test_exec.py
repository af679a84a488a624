from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd.fake import Behaviour, FakeEngine, Fault
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.model import Result
from tests.dockerd.verbs.acting import OPTED_IN, acting, actions, asked

LABELS = OPTED_IN | {
    "compose-agent.exec.reload": "nginx -s 'reload now'",
    "compose-agent.exec.empty": " ",
    "compose-agent.exec.open": "say 'never",
}


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started
        started.clear_faults()


@pytest.fixture
def actor(engine: FakeEngine, tmp_path: Path) -> Iterator[LocalActor]:
    with acting(engine.url, tmp_path) as made:
        yield made


@pytest.fixture
def web(engine: FakeEngine) -> str:
    return engine.add_container("web", labels=LABELS)


def runs(engine: FakeEngine, container: str) -> list[str]:
    return [action for action in actions(engine, container) if action.startswith("exec_start")]


def test_the_label_gives_the_command(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    outcome = actor.perform(asked("exec", web, name="reload"))
    assert (outcome.result, outcome.details) == (Result.DONE, {"exit_code": 0})
    assert runs(engine, web) == ["exec_start: nginx -s reload now"]
    assert [each.argv for each in engine.core.store.commands.values()] == [["nginx", "-s", "reload now"]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rm -rf /", "web has no label compose-agent.exec.rm -rf / that declares a command"),
        ("", "there is empty, open, reload"),
        ("empty", "is empty"),
        ("open", "cannot be read: No closing quotation"),
    ],
)
def test_only_what_a_label_declares_is_run(
    engine: FakeEngine, actor: LocalActor, web: str, name: str, words: str
) -> None:
    outcome = actor.perform(asked("exec", web, name=name))
    assert outcome.result is Result.REFUSED
    assert words in outcome.reason
    assert not engine.core.store.commands


def test_nothing_is_run_in_what_does_not_run(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.die(web)
    assert (
        actor.perform(asked("exec", web, name="reload")).reason
        == "web is exited, so nothing can be run in it"
    )


def test_a_command_that_fails_has_failed(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.behave(web, Behaviour(exec_takes=0.1, exec_exit_code=3))
    outcome = actor.perform(asked("exec", web, name="reload"))
    assert (outcome.result, outcome.reason) == (Result.FAILED, "the command ended with exit code 3")


def test_a_command_without_end_is_left_alone(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.behave(web, Behaviour(exec_takes=60))
    outcome = actor.perform(asked("exec", web, name="reload", timeout=1))
    assert outcome.reason == "the command has not ended within 1 s and goes on"


@pytest.mark.parametrize("acts", [True, False])
def test_a_lost_answer_does_not_run_it_twice(
    engine: FakeEngine, actor: LocalActor, web: str, acts: bool
) -> None:
    engine.add_fault(Fault("POST /exec/*/start", "reset", times=1, acts=acts))
    assert actor.perform(asked("exec", web, name="reload")).result is Result.DONE
    assert len(runs(engine, web)) == 1


def test_what_the_engine_has_forgotten_is_not_run_again(
    engine: FakeEngine, actor: LocalActor, web: str
) -> None:
    engine.add_fault(Fault("POST /exec/*/start", "reset", times=1, acts=True))
    engine.add_fault(Fault("GET /exec/*/json", "error", status=404, message="No such exec instance"))
    assert actor.perform(asked("exec", web, name="reload")).result is Result.UNKNOWN
    assert len(runs(engine, web)) == 1
