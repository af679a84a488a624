from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose_agent import units
from compose_agent.config import Config
from compose_agent.errors import ConfigError, InstanceRunning, ListenError, Problem, StateError
from compose_agent.supervisor import Supervisor
from compose_agent.units import PatientUnit, RoleFailed, ThreadUnit, Unit
from compose_agent.web.health import Readiness
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from tests.fakerole import SCHEMA, FakeSettings, Made, config_of

PATIENCE_SECONDS = 10.0
WRONG = ConfigError(Problem("f.yml:3", "is wrong"))


@dataclass
class FakeUnit:
    """A unit that writes down what is done to it; ``fail`` is raised by the method of that name."""

    name: str
    book: list[str]
    fail: dict[str, Exception] = field(default_factory=dict)
    answers: bool = True

    def _note(self, what: str, method: str) -> None:
        if error := self.fail.get(method):
            raise error
        self.book.append(f"{self.name} {what}")

    def start(self) -> None:
        self._note("start", "start")

    def look(self) -> None:
        if error := self.fail.get("look"):
            raise error

    def apply(self, revision: int, config: Config) -> None:
        self._note(f"apply {revision} {config.of(FakeSettings).word}", "apply")

    def take_back(self, revision: int, config: Config) -> None:
        self._note(f"take back {revision} {config.of(FakeSettings).word}", "take_back")

    def refuse(self, error: ConfigError) -> None:
        self._note(f"refuse {error}", "refuse")

    def readiness(self) -> Readiness | None:
        return Readiness(self.name, "1", 1) if self.answers else None

    def stop(self) -> None:
        self._note("stop", "stop")


@contextmanager
def running(
    units: list[Unit], config: Config, load: Callable[[], Config] | None = None
) -> Iterator[Supervisor]:
    """Run a supervisor in a thread until the block ends; it has announced its roles when the block begins."""
    stop, announced = threading.Event(), threading.Event()
    supervisor = Supervisor(units, SCHEMA, config, load or (lambda: config))
    thread = threading.Thread(target=supervisor.run, args=(stop, lambda _states: announced.set()))
    thread.start()
    try:
        assert announced.wait(PATIENCE_SECONDS)
        yield supervisor
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@pytest.fixture
def book() -> list[str]:
    return []


class MeetingUnit(FakeUnit):
    """A unit of which the stop ends when others are being stopped too."""

    met = threading.Barrier(3, timeout=PATIENCE_SECONDS)

    def stop(self) -> None:
        self.met.wait()
        super().stop()


def test_units_are_started_in_order_and_stopped_at_once(book: list[str], tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    with running([MeetingUnit(name, book) for name in names], config_of(tmp_path)):
        assert book == ["a start", "b start", "c start"]
    assert sorted(book[3:]) == ["a stop", "b stop", "c stop"]


def test_a_stop_that_fails_keeps_no_other_unit_running(book: list[str], tmp_path: Path) -> None:
    units: list[Unit] = [FakeUnit("a", book, {"stop": OSError("x")}), FakeUnit("b", book)]
    config = config_of(tmp_path)
    stop = threading.Event()
    stop.set()
    with pytest.raises(OSError, match="x"):
        Supervisor(units, SCHEMA, config, lambda: config).run(stop, lambda _states: None)
    assert book == ["a start", "b start", "b stop"]


def test_a_reload_is_handed_to_every_unit_as_the_next_revision(book: list[str], tmp_path: Path) -> None:
    units: list[Unit] = [FakeUnit("a", book), FakeUnit("b", book)]
    with running(units, config_of(tmp_path), lambda: config_of(tmp_path, word="second")) as supervisor:
        book.clear()
        assert supervisor.reload() == 2
        assert supervisor.readiness().revision == 2
        assert LocalClient(tmp_path, "supervisor").reload() == 2
        # The same once more: it is no new revision, but roles may read what it names again.
        # To all at once, so in any order.
        assert [sorted(book[:2]), sorted(book[2:])] == [["a apply 2 second", "b apply 2 second"]] * 2


def test_a_wrong_configuration_reaches_no_unit_and_all_are_told(book: list[str], tmp_path: Path) -> None:
    def load() -> Config:
        raise WRONG

    with running([FakeUnit("a", book), FakeUnit("b", book)], config_of(tmp_path), load) as supervisor:
        book.clear()
        with pytest.raises(ConfigError, match=r"^f\.yml:3: is wrong$"):
            LocalClient(tmp_path, "supervisor").reload()
        assert book == ["a refuse f.yml:3: is wrong", "b refuse f.yml:3: is wrong"]
        assert supervisor.readiness().revision == 1


def test_what_one_unit_refuses_is_taken_back_from_the_others(book: list[str], tmp_path: Path) -> None:
    units: list[Unit] = [
        FakeUnit("a", book),
        FakeUnit("b", book),
        FakeUnit("c", book, {"apply": WRONG}),
        FakeUnit("d", book),
    ]
    with running(units, config_of(tmp_path), lambda: config_of(tmp_path, word="second")) as supervisor:
        book.clear()
        with pytest.raises(ConfigError):
            supervisor.reload()
        # All at once, so in any order; but nobody goes back before everybody has answered.
        assert sorted(book[:3]) == [f"{name} apply 2 second" for name in "abd"]
        assert sorted(book[3:6]) == [f"{name} take back 1 first" for name in "abd"]
        assert book[6:] == [f"{name} refuse f.yml:3: is wrong" for name in "abcd"]
        assert supervisor.readiness().revision == 1


def test_what_needs_a_start_reaches_no_unit(tmp_path: Path) -> None:
    made = Made()
    config = config_of(tmp_path)
    later = config_of(tmp_path / "other", word="second", fixed="second")
    with running([ThreadUnit(made.spec(), SCHEMA, 1, config)], config, lambda: later) as supervisor:
        supervisor.reload()
        assert made.role.config.of(FakeSettings) == FakeSettings("second", "first")
        LocalClient(tmp_path, "fake").healthy()


def test_a_reload_that_comes_during_the_start_waits_for_its_end(book: list[str], tmp_path: Path) -> None:
    supervisor = Supervisor([FakeUnit("a", book)], SCHEMA, config_of(tmp_path), lambda: config_of(tmp_path))
    early = threading.Thread(target=supervisor.reload)
    early.start()
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop, lambda _states: None))
    thread.start()
    early.join(PATIENCE_SECONDS)
    stop.set()
    thread.join(PATIENCE_SECONDS)
    assert book == ["a start", "a apply 1 first", "a stop"]


def test_it_is_ready_when_every_role_answers(book: list[str], tmp_path: Path) -> None:
    unit = FakeUnit("a", book)
    with running([unit, FakeUnit("b", book)], config_of(tmp_path)):
        client = LocalClient(tmp_path, "supervisor")
        assert client.ready().ready
        unit.answers = False
        assert client.ready().reasons == ("the role a does not answer",)


def test_a_second_supervisor_on_the_same_run_directory_starts_nothing(
    book: list[str], tmp_path: Path
) -> None:
    second: list[str] = []
    with running([FakeUnit("a", book)], config_of(tmp_path)):
        config = config_of(tmp_path)
        supervisor = Supervisor([FakeUnit("b", second)], SCHEMA, config, lambda: config)
        with pytest.raises(
            InstanceRunning, match=r"supervisor\.sock is in use by the process with pid \d+: stop it, or use"
        ):
            supervisor.run(threading.Event(), lambda _states: None)
        LocalClient(tmp_path, "supervisor").healthy()
    assert second == []


@pytest.mark.parametrize(
    ("method", "error", "started"),
    [
        ("start", ListenError("cannot listen"), ["a start"]),
        ("look", RoleFailed("b", 3), ["a start", "b start"]),
    ],
)
def test_a_role_that_cannot_run_ends_all(
    method: str, error: Exception, started: list[str], book: list[str], tmp_path: Path
) -> None:
    units: list[Unit] = [FakeUnit("a", book), FakeUnit("b", book, {method: error})]
    supervisor = Supervisor(units, SCHEMA, config_of(tmp_path), lambda: config_of(tmp_path))
    with pytest.raises(type(error)):
        supervisor.run(threading.Event(), lambda _states: None)
    assert book[: len(started)] == started
    assert sorted(book[len(started) :]) == ["a stop", "b stop"]
    with pytest.raises(RoleNotRunning):
        LocalClient(tmp_path, "supervisor").healthy()


def test_roles_in_one_process_are_taken_back_too(tmp_path: Path) -> None:
    first, second = Made("first"), Made("second")
    config = config_of(tmp_path)
    units: list[Unit] = [ThreadUnit(made.spec(), SCHEMA, 1, config) for made in (first, second)]
    with running(units, config, lambda: config_of(tmp_path, word="second")) as supervisor:
        second.role.refuse = ListenError("cannot listen")
        with pytest.raises(ConfigError, match=r"^second: cannot listen$"):
            supervisor.reload()
        assert first.role.done == ["start", "apply second", "apply first"]
        for made in (first, second):
            assert (made.role.state.revision, made.role.state.successful) == (1, False)
    assert first.role.done[-1] == second.role.done[-1] == "stop"


def patient(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PatientUnit:
    monkeypatch.setattr(units, "RESTART_FIRST_SECONDS", 0.01)
    return PatientUnit(made.spec(), SCHEMA, 1, config_of(tmp_path))


def test_a_patient_role_that_cannot_start_is_tried_again_with_what_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made("link")
    made.fails = [StateError("the disk is full")] * 2
    unit = patient(made, tmp_path, monkeypatch)
    unit.start()
    assert unit.readiness() is None
    unit.apply(2, config_of(tmp_path, word="second"))
    unit.refuse(WRONG)
    give_up = time.monotonic() + PATIENCE_SECONDS
    while unit.readiness() is None:
        assert time.monotonic() < give_up
        unit.look()
    assert (made.role.state.revision, made.role.word) == (2, "second")
    assert made.fails == []
    unit.stop()
    assert made.role.done == ["start", "stop"]


def test_a_patient_role_that_no_restart_can_mend_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made("link")
    made.fails = [InstanceRunning("somebody else has it")]
    unit = patient(made, tmp_path, monkeypatch)
    with pytest.raises(RoleFailed) as failure:
        unit.start()
    assert failure.value.code == InstanceRunning.exit_code
    unit.stop()
