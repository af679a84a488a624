from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compose_agent.dockerd.fake import Behaviour, FakeEngine, Fault
from compose_agent.dockerd.fake.faults import Kind
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Limits
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.model import Result, Standing
from tests.dockerd.verbs.acting import OPTED_IN, QUICK, acting, actions, asked, cycles

RESTART = "POST /containers/*/restart"
DEAF = Behaviour(ignores_term=True)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started
        started.clear_faults()
        started.thaw()


@pytest.fixture
def actor(engine: FakeEngine, tmp_path: Path) -> Iterator[LocalActor]:
    with acting(engine.url, tmp_path) as made:
        yield made


@pytest.fixture
def web(engine: FakeEngine) -> str:
    return engine.add_container("web", labels=OPTED_IN)


def test_a_request_is_done_once_however_often_it_is_asked_for(
    engine: FakeEngine, actor: LocalActor, web: str
) -> None:
    assert actor.standing("one") is Standing.UNKNOWN
    first = actor.perform(asked("restart", web))
    assert first.result is Result.DONE
    assert first.details["started_at"] == engine.inspect(web)["State"]["StartedAt"]
    assert actor.perform(asked("restart", web)) == first
    assert actor.standing("one") is Standing.ENDED
    assert cycles(engine, web) == 1
    assert engine.requests()[f"POST /containers/{web}/restart"] == 1


def test_an_end_is_remembered_by_the_next_actor(engine: FakeEngine, tmp_path: Path, web: str) -> None:
    with acting(engine.url, tmp_path) as actor:
        first = actor.perform(asked("restart", web))
    with acting(engine.url, tmp_path) as actor:
        assert actor.perform(asked("restart", web)) == first
    assert cycles(engine, web) == 1


def test_the_same_id_at_once_is_done_once(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: actor.perform(asked("restart", web)), range(8)))
    assert len({outcome.details["started_at"] for outcome in outcomes}) == 1
    assert cycles(engine, web) == 1


def test_one_action_on_one_target_at_a_time(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.behave(web, Behaviour(stop_takes=0.1))
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(actor.perform, asked("restart", web, id=str(number))) for number in range(3)]
    assert [each.result().result for each in asking] == [Result.DONE] * 3
    # None of them shared the stop of another.
    assert cycles(engine, web) == 3


def test_targets_do_not_wait_for_one_another(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    slow = engine.add_container("slow", labels=OPTED_IN, behaviour=DEAF)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(actor.perform, asked("restart", slow, id="slow", timeout=60))
        while "kill" not in actions(engine, slow):
            time.sleep(0.01)
        assert actor.perform(asked("restart", web)).result is Result.DONE
        assert not asking.done()
        engine.die(slow)  # else it would be waited for
    assert asking.result().result is Result.DONE


def test_an_id_stands_for_one_request(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    actor.perform(asked("restart", web))
    outcome = actor.perform(asked("stop", web))
    assert (outcome.result, outcome.reason) == (
        Result.REFUSED,
        f"the id one stands for another request, restart of {web}",
    )
    assert engine.inspect(web)["State"]["Running"]


@pytest.mark.parametrize(
    ("verb", "labels", "words"),
    [
        ("restart", {}, "web has no label compose-agent.remediate=restart, so nothing is done to it"),
        ("restart", {"compose-agent.remediate": "scale"}, "does not allow restart"),
        ("dance", OPTED_IN, "there is no verb 'dance', only "),
    ],
)
def test_a_refusal_is_final_and_does_nothing(
    engine: FakeEngine, actor: LocalActor, verb: str, labels: dict[str, str], words: str
) -> None:
    web = engine.add_container("web", labels=labels)
    outcome = actor.perform(asked(verb, web))
    assert outcome.result is Result.REFUSED
    assert words in outcome.reason
    assert actor.perform(asked(verb, web)) == outcome
    assert actor.standing("one") is Standing.ENDED
    assert actions(engine, web) == ["create", "start"]


def test_what_is_not_there_is_refused(actor: LocalActor) -> None:
    outcome = actor.perform(asked("restart", "0" * 64))
    assert (outcome.result, outcome.reason) == (Result.REFUSED, f"there is no container {'0' * 64}")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(per_target=2, per_host=9), "2 actions on web within 600 s"),
        (Limits(per_target=9, per_host=2), "2 actions on this host within 600 s"),
    ],
)
def test_the_budget_holds_across_restarts(
    engine: FakeEngine, tmp_path: Path, web: str, limits: Limits, words: str
) -> None:
    outcomes = []
    for number in range(3):
        with acting(engine.url, tmp_path, limits=limits) as actor:
            outcomes.append(actor.perform(asked("restart", web, id=str(number))))
    assert [each.result for each in outcomes] == [Result.DONE, Result.DONE, Result.REFUSED]
    assert outcomes[2].reason.startswith(words)
    assert cycles(engine, web) == 2


def test_the_budget_holds_for_requests_at_once(engine: FakeEngine, tmp_path: Path) -> None:
    targets = [engine.add_container(f"c{number}", labels=OPTED_IN) for number in range(10)]
    with (
        acting(engine.url, tmp_path, limits=Limits(per_host=4)) as actor,
        ThreadPoolExecutor(10) as pool,
    ):
        outcomes = list(pool.map(lambda each: actor.perform(asked("restart", each, id=each)), targets))
    assert sum(each.result is Result.DONE for each in outcomes) == 4
    assert sum(cycles(engine, each) for each in targets) == 4


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("kind", ["reset", "garbage", "wrong"])
def test_a_spoilt_answer_neither_loses_nor_doubles(
    engine: FakeEngine, actor: LocalActor, web: str, kind: Kind, acts: bool
) -> None:
    engine.add_fault(Fault(RESTART, kind, times=1, acts=acts))
    assert actor.perform(asked("restart", web)).result is Result.DONE
    assert cycles(engine, web) == 1


def test_an_answer_that_never_comes_is_not_waited_for_for_ever(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: str
) -> None:
    monkeypatch.setattr("compose_agent.dockerd.verbs.restart.ANSWER_SECONDS", 0.5)
    engine.add_fault(Fault(RESTART, "hang", times=1, acts=True))
    with acting(engine.url, tmp_path) as actor:
        assert actor.perform(asked("restart", web, timeout=0)).result is Result.DONE
    assert cycles(engine, web) == 1


@pytest.mark.parametrize("status", [404, 409, 500, 503])
def test_a_refusal_of_the_engine_is_told_in_its_words(
    engine: FakeEngine, actor: LocalActor, web: str, status: int
) -> None:
    engine.add_fault(Fault(RESTART, "error", times=1, status=status, message="no, thank you"))
    outcome = actor.perform(asked("restart", web))
    assert outcome.result is Result.FAILED
    assert "no, thank you" in outcome.reason
    assert cycles(engine, web) == 0


@pytest.mark.parametrize(("status", "acts"), [(500, True), (502, True), (504, True), (504, False)])
def test_a_refusal_of_what_was_done_or_of_a_proxy_is_looked_into(
    engine: FakeEngine, actor: LocalActor, web: str, status: int, acts: bool
) -> None:
    engine.add_fault(Fault(RESTART, "error", times=1, status=status, acts=acts))
    assert actor.perform(asked("restart", web)).result is Result.DONE
    assert cycles(engine, web) == 1


def test_an_engine_that_takes_no_notice_is_asked_so_often_and_no_more(
    engine: FakeEngine, actor: LocalActor, web: str
) -> None:
    engine.add_fault(Fault(RESTART, "reset"))
    outcome = actor.perform(asked("restart", web))
    assert (outcome.result, outcome.reason) == (
        Result.FAILED,
        f"the Engine was asked {QUICK.calls} times and has not done it",
    )


def test_nothing_is_begun_while_the_engine_is_away(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.stop_engine()
    with pytest.raises(ActorUnavailable, match="nothing was done"):
        actor.perform(asked("restart", web))
    assert actor.standing("one") is Standing.UNKNOWN
    engine.start_engine()
    assert actor.perform(asked("restart", web)).result is Result.DONE


def test_an_engine_that_hangs_after_the_call_leaves_it_started(
    engine: FakeEngine, actor: LocalActor, web: str
) -> None:
    engine.behave(web, DEAF)

    def hang() -> None:
        while "kill" not in actions(engine, web):
            time.sleep(0.005)
        engine.add_fault(Fault("GET /containers/*/json", "hang"))

    thread = threading.Thread(target=hang)
    thread.start()
    with pytest.raises(ActorUnavailable, match="cannot be seen"):
        actor.perform(asked("restart", web, timeout=3))
    thread.join()
    assert actor.standing("one") is Standing.STARTED
    engine.clear_faults()
    assert actor.perform(asked("restart", web, timeout=3)).result is Result.DONE
    assert cycles(engine, web) == 1


def test_a_journal_that_cannot_be_written_lets_nothing_happen(
    engine: FakeEngine, actor: LocalActor, web: str
) -> None:
    actor._journal._database.execute("PRAGMA query_only = ON")
    with pytest.raises(ActorUnavailable, match="cannot write down what it does"):
        actor.perform(asked("restart", web))
    assert cycles(engine, web) == 0
    actor._journal._database.execute("PRAGMA query_only = OFF")
    assert actor.perform(asked("restart", web)).result is Result.DONE


def test_who_waits_is_let_go_when_the_actor_closes(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    engine.add_fault(Fault(RESTART, "reset"))

    def close() -> None:
        while not engine.requests()[f"POST /containers/{web}/restart"]:
            time.sleep(0.005)
        actor.close()

    thread = threading.Thread(target=close)
    thread.start()
    with pytest.raises(ActorUnavailable, match="closing"):
        actor.perform(asked("restart", web))
    thread.join()
    assert actor.standing("one") is Standing.STARTED


def test_labels_are_not_written_down(engine: FakeEngine, tmp_path: Path) -> None:
    web = engine.add_container("web", labels=OPTED_IN | {"password": "secret"})
    with acting(engine.url, tmp_path) as actor:
        actor.perform(asked("restart", web))
    journal = Journal(tmp_path)
    entry = journal.find("one")
    journal.close()
    assert entry is not None
    assert "labels" not in entry.facts


def test_a_restart_that_the_engines_end_cut_short_is_made_good(
    engine: FakeEngine, actor: LocalActor, web: str
) -> None:
    engine.behave(web, DEAF)
    before = engine.inspect(web)["State"]["StartedAt"]

    def crash() -> None:
        while "kill" not in actions(engine, web):
            time.sleep(0.005)
        engine.restart_engine()

    thread = threading.Thread(target=crash)
    thread.start()
    assert actor.perform(asked("restart", web)).result is Result.DONE
    thread.join()
    assert engine.inspect(web)["State"]["StartedAt"] > before
    # The Engine ended the container itself and told nobody; only the start was left to be done.
    assert actions(engine, web) == ["start", "restart"]
