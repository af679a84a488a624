"""The keeper over its real journal; what it is to do is a verb of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

import pytest

from compose_agent.boottime import Moment, after
from compose_agent.errors import ComposeAgentError
from fleet.agent.commands.clock import ManagerClock
from fleet.agent.commands.journal import Journal, Kept
from fleet.agent.commands.keeper import Keeper
from fleet.agent.commands.verbs.contract import Again, Means, Outcome, Refused
from fleet.agent.database import agent_database
from fleet.envelopes.command import ENDS, Command, Report, Stage
from tests.fleet.manager.serving import until

NOW = 1_000_000.0


class Deed:
    """A verb that counts; ``do`` says what comes of it."""

    def __init__(self, *, repeatable: bool = False) -> None:
        self.name = "deed"
        self.repeatable = repeatable
        self.done: list[str] = []
        self.do: Callable[[Command, Means], Outcome] = lambda _command, _means: Outcome(Stage.DONE)

    def check(self, command: Command) -> None:
        if command.target == "impossible":
            raise Refused("it never can be")

    def run(self, command: Command, means: Means) -> Outcome:
        self.done.append(command.id)
        return self.do(command, means)


class Life:
    """One life of the keeper on a state directory."""

    def __init__(self, folder: Path, deed: Deed, allowed: tuple[str, ...] | None = None) -> None:
        self.said: list[Report] = []
        self.database = agent_database(folder)
        self.journal = Journal(self.database)
        clock = ManagerClock()
        clock.answered(clock.question(), NOW)
        self.keeper = Keeper(self.journal, {"deed": deed}, clock, self.said.append, lambda: allowed)

    def __enter__(self) -> Self:
        self.keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.keeper.stop()
        self.database.close()

    def end(self, command_id: str = "c1") -> Report:
        until(lambda: any(each.id == command_id and each.stage in ENDS for each in self.said))
        return next(each for each in self.said if each.id == command_id and each.stage in ENDS)


def command(command_id: str = "c1", seconds: float = 3600.0, verb: str = "deed", target: str = "") -> Command:
    return Command(id=command_id, verb=verb, target=target, issued=NOW, deadline=NOW + seconds, actor="ann")


@pytest.fixture
def deed() -> Deed:
    return Deed()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def test_a_command_is_accepted_and_done_once_however_often_it_comes(tmp_path: Path, deed: Deed) -> None:
    with Life(tmp_path, deed) as life:
        for _ in range(3):
            life.keeper.take([command()])
        assert life.end().stage is Stage.DONE
        life.keeper.take([command()])
        assert life.said[0].stage is Stage.ACCEPTED
        assert life.said[-1].stage is Stage.DONE
    assert deed.done == ["c1"]
    with Life(tmp_path, deed) as again:
        again.keeper.take([command()])
        assert again.said[-1].stage is Stage.DONE
    assert deed.done == ["c1"]


@pytest.mark.parametrize(
    ("given", "stage", "words"),
    [
        (command(seconds=-1.0), Stage.EXPIRED, "its deadline had passed"),
        (command(verb="dance"), Stage.REFUSED, "there is no verb 'dance' on this host, only deed"),
        (command(target="impossible"), Stage.REFUSED, "it never can be"),
    ],
)
def test_what_is_never_begun(tmp_path: Path, deed: Deed, given: Command, stage: Stage, words: str) -> None:
    with Life(tmp_path, deed) as life:
        life.keeper.take([given])
        ended = life.end()
    assert ended.stage is stage
    assert words in ended.detail
    assert deed.done == []


@pytest.mark.parametrize(("allowed", "stage"), [(("none",), Stage.REFUSED), (("deed",), Stage.DONE)])
def test_a_host_says_what_it_carries_out(
    tmp_path: Path, deed: Deed, allowed: tuple[str, ...], stage: Stage
) -> None:
    with Life(tmp_path, deed, allowed) as life:
        life.keeper.take([command()])
        assert life.end().stage is stage


@pytest.mark.parametrize(
    ("error", "stage", "words"),
    [
        (Refused("not this one"), Stage.REFUSED, "not this one"),
        (ComposeAgentError("it broke"), Stage.FAILED, "it broke"),
        (RuntimeError("a defect"), Stage.FAILED, "fault of the agent"),
    ],
)
def test_what_goes_wrong_is_its_end(
    tmp_path: Path, deed: Deed, error: Exception, stage: Stage, words: str
) -> None:
    def fails(_command: Command, _means: Means) -> Outcome:
        raise error

    deed.do = fails
    with Life(tmp_path, deed) as life:
        life.keeper.take([command()])
        ended = life.end()
    assert ended.stage is stage
    assert words in ended.detail


def test_what_is_not_there_yet_is_tried_until_the_deadline(tmp_path: Path, deed: Deed) -> None:
    def never(_command: Command, _means: Means) -> Outcome:
        raise Again("nobody is there")

    deed.do = never
    with Life(tmp_path, deed) as life:
        life.keeper.take([command(seconds=5.0)])
        ended = life.end()
    assert (ended.stage, ended.detail) == (
        Stage.EXPIRED,
        "it was not begun in time, it waited: nobody is there",
    )


def begun_by_a_process_that_was_killed(folder: Path, begin_by: Moment) -> None:
    with closing(agent_database(folder)) as database:
        journal = Journal(database)
        journal.take([Kept(command(), begin_by, Report(id="c1", stage=Stage.ACCEPTED))])
        journal.report(Report(id="c1", stage=Stage.RUNNING))


def in_time() -> Moment:
    return after(3600.0)


def too_late() -> Moment:
    return after(-1.0)


def before_a_reboot() -> Moment:
    return Moment("another run of the kernel", 1e12)


@pytest.mark.parametrize(
    ("repeatable", "begin_by", "stage", "times"),
    [
        (True, in_time, Stage.DONE, 1),
        (True, too_late, Stage.DONE, 1),  # it finds out what became of it
        (True, before_a_reboot, Stage.DONE, 1),
        (False, in_time, Stage.DONE, 1),
        (False, too_late, Stage.UNKNOWN, 0),
        (False, before_a_reboot, Stage.UNKNOWN, 0),
    ],
)
def test_what_was_begun_before_a_kill(
    tmp_path: Path, repeatable: bool, begin_by: Callable[[], Moment], stage: Stage, times: int
) -> None:
    deed = Deed(repeatable=repeatable)
    begun_by_a_process_that_was_killed(tmp_path, begin_by())
    with Life(tmp_path, deed) as life:
        assert life.end().stage is stage
    assert len(deed.done) == times


def test_what_was_accepted_and_not_begun_before_a_kill_is_not_begun_late(tmp_path: Path, deed: Deed) -> None:
    with closing(agent_database(tmp_path)) as database:
        kept = [
            Kept(command(name), begin_by, Report(id=name, stage=Stage.ACCEPTED))
            for name, begin_by in (("late", too_late()), ("early", in_time()))
        ]
        Journal(database).take(kept)
    with Life(tmp_path, deed) as life:
        assert life.end("late").stage is Stage.EXPIRED
        assert life.end("early").stage is Stage.DONE
    assert deed.done == ["early"]


def test_ends_are_told_again_until_the_manager_has_them(tmp_path: Path, deed: Deed) -> None:
    with Life(tmp_path, deed) as life:
        life.keeper.take([command()])
        life.end()
        life.said.clear()
        life.keeper.tell_again()
        assert [each.stage for each in life.said] == [Stage.DONE]
        life.keeper.confirm(["c1"])
        life.said.clear()
        life.keeper.tell_again()
        assert life.said == []
