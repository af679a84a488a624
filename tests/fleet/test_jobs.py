"""Jobs over real links: agents by hand, which say how each part ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fleet.envelopes.command import CAPABILITY, COMMAND, REPORT, Command, Report, Stage, packed, unpacked
from fleet.opamp import attributes as names
from tests.fleet.commanding import ask
from tests.fleet.manager.serving import HandAgent, Manager, serving, until

JOBS = "/api/v1/jobs"


class Worker(HandAgent):
    """Answers each command that ``serve`` sees as ``decide`` says."""

    def __init__(self, manager: Manager, name: str, capacity: int = 2, uid: bytes | None = None) -> None:
        super().__init__(manager, name, uid, interval=30.0)
        self._attributes |= {names.NODE_ID: name, names.CAPACITY: capacity}
        message = self.message(described=True)
        message.custom_capabilities.capabilities.append(CAPABILITY)
        self.say(message)
        self.commands: list[Command] = []

    def serve(self, decide: Callable[[Command], Stage] = lambda _command: Stage.DONE) -> None:
        """Answer one command."""
        while (message := self.hear().custom_message).type != COMMAND:
            pass
        command = unpacked(Command, message.data)
        self.commands.append(command)
        self.report(Report(id=command.id, stage=decide(command), result={"by": len(self.commands)}))

    def report(self, report: Report) -> None:
        message = self.message()
        message.custom_message.capability, message.custom_message.type = CAPABILITY, REPORT
        message.custom_message.data = packed(report)
        self.say(message)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path, heartbeat_interval="30s") as running:
        yield running


def begun(manager: Manager, status: int = 202, **asked: Any) -> dict[str, Any]:
    found, answer = ask(manager.role, "POST", JOBS, {"verb": "inspect", **asked})
    assert found == status, answer
    document: dict[str, Any] = answer
    return document


def job_of(manager: Manager, job_id: str) -> dict[str, Any]:
    document: dict[str, Any] = ask(manager.role, "GET", f"{JOBS}/{job_id}")[1]
    return document


def ended(manager: Manager, job_id: str) -> dict[str, Any]:
    until(lambda: job_of(manager, job_id)["state"] != "running")
    return job_of(manager, job_id)


def test_each_node_has_a_part_and_so_many_are_out_at_a_time(manager: Manager) -> None:
    workers = [Worker(manager, f"w{number}") for number in range(3)]
    job = begun(manager, selector='id=~"w.*"', parallelism=1)
    assert [part["node_id"] for part in job["parts"]] == ["w0", "w1", "w2"]
    for worker in workers:
        stages = job_of(manager, job["id"])["stages"]
        assert stages.get("waiting", 0) + stages.get("done", 0) >= 2
        worker.serve()
    report = ended(manager, job["id"])
    assert (report["state"], report["stages"]) == ("done", {"done": 3})
    assert [part["result"] for part in report["parts"]] == [{"by": 1}] * 3


def test_a_part_that_fails_goes_to_another_node_and_its_attempts_are_told(manager: Manager) -> None:
    bad, good = Worker(manager, "bad", capacity=8), Worker(manager, "good", capacity=1)
    job = begun(
        manager, nodes=["bad", "good"], spread="any", retries=1, parts=[{"shard": "eu"}], target="index"
    )
    bad.serve(lambda _command: Stage.FAILED)  # the one with more room comes first
    good.serve()
    report = ended(manager, job["id"])
    assert report["state"] == "done"
    (part,) = report["parts"]
    assert [(each["node_id"], each["stage"]) for each in part["attempts"]] == [
        ("bad", "failed"),
        ("good", "done"),
    ]
    assert good.commands[0].arguments == {"shard": "eu"}
    assert good.commands[0].traceparent == bad.commands[0].traceparent == report["traceparent"]


def test_a_partial_result_is_told_as_one(manager: Manager) -> None:
    yes, no = Worker(manager, "yes"), Worker(manager, "no")
    job = begun(manager, nodes=["yes", "no"])
    yes.serve()
    no.serve(lambda _command: Stage.REFUSED)
    report = ended(manager, job["id"])
    assert (report["state"], report["stages"]) == ("partial", {"done": 1, "refused": 1})


def test_nobody_has_more_parts_than_capacity(manager: Manager) -> None:
    worker = Worker(manager, "one", capacity=2)
    job = begun(manager, nodes=["one"], spread="any", parts=[{"n": str(number)} for number in range(5)])
    until(lambda: job_of(manager, job["id"])["stages"].get("sent") == 2)
    for _ in range(5):
        assert job_of(manager, job["id"])["stages"].get("sent", 0) <= 2
        worker.serve()
    assert ended(manager, job["id"])["state"] == "done"
    assert sorted(command.arguments["n"] for command in worker.commands) == list("01234")


def test_a_job_that_is_cancelled_gives_out_no_more(manager: Manager) -> None:
    first, second = Worker(manager, "a"), Worker(manager, "b")
    job = begun(manager, nodes=["a", "b"], parallelism=1)
    until(lambda: job_of(manager, job["id"])["stages"].get("sent") == 1)
    assert ask(manager.role, "POST", f"{JOBS}/{job['id']}/cancel")[0] == 200
    first.serve()
    report = ended(manager, job["id"])
    assert (report["state"], report["cancelled_by"]) == ("cancelled", "local")
    assert second.commands == []
    assert ask(manager.role, "POST", f"{JOBS}/{job['id']}/cancel")[0] == 409


def test_a_manager_that_is_started_again_goes_on(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(serving(tmp_path))
        worker = Worker(first, "a")
        job = begun(first, nodes=["a"], spread="any", parts=[{"n": "1"}, {"n": "2"}], parallelism=1)
        worker.serve()
        until(lambda: job_of(first, job["id"])["stages"].get("done") == 1)
        first.role.stop()
        first.role.stop = lambda: None  # type: ignore[method-assign]  # it has been
        second = stack.enter_context(serving(tmp_path))
        again = Worker(second, "a", uid=worker.uid)
        again.serve()
        assert ended(second, job["id"])["state"] == "done"
        assert {worker.commands[0].arguments["n"], again.commands[-1].arguments["n"]} == {"1", "2"}


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"nodes": ["nobody"]}, 404, "there is no node nobody"),
        ({}, 400, "expected nodes, or a selector"),
        ({"nodes": ["a"], "spread": "any"}, 400, "expected parts"),
        ({"nodes": ["a"], "retries": 2}, 400, "expected spread any"),
        ({"nodes": ["a"], "parallelism": 0}, 400, "parallelism"),
    ],
)
def test_what_cannot_be_begun_is_refused(
    manager: Manager, asked: dict[str, Any], status: int, words: str
) -> None:
    assert words in begun(manager, status, **asked)["error"]


def test_they_are_listed_the_newest_first(manager: Manager) -> None:
    Worker(manager, "a")
    made = [begun(manager, nodes=["a"])["id"] for _ in range(2)]
    rows = ask(manager.role, "GET", f"{JOBS}?limit=10")[1]["jobs"]
    assert [row["id"] for row in rows] == sorted(made, reverse=True)
    assert ask(manager.role, "GET", f"{JOBS}/nothing")[0] == 404
