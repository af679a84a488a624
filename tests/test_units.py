"""A role in a process of its own, as the supervisor sees it: real processes, shortened waits."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compose_agent import units
from compose_agent.commands.roles import EXPORTER, SCHEMA
from compose_agent.config import Config, Given, resolve
from compose_agent.errors import ConfigError, Problem
from compose_agent.units import ProcessUnit, RoleFailed
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server

PATIENCE_SECONDS = 20.0
WRONG = ConfigError(Problem("f.yml:3", "is wrong"))


def config_of(run_dir: Path, **given: str) -> Config:
    """Return a configuration of an exporter on a free port, without an Engine."""
    everywhere = {
        "run-dir": str(run_dir),
        "docker.host": "/nowhere.sock",
        "exporter.web.listen-address": "127.0.0.1:0",
        "log.level": "error",
    }
    return resolve(SCHEMA, [{key: Given(value, "test") for key, value in {**everywhere, **given}.items()}])


STOP_SECONDS = 2.0


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessUnit]:
    monkeypatch.setattr(units, "RESTART_FIRST_SECONDS", 0.05)
    unit = ProcessUnit(EXPORTER.name, 1, config_of(tmp_path), stop_seconds=STOP_SECONDS)
    unit.start()
    yield unit
    unit.stop()


def wait_for(unit: ProcessUnit, condition: Callable[[], object]) -> None:
    """Look after the unit, as the supervisor does, until the condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came true"
        unit.look()
        time.sleep(0.02)


def ready(unit: ProcessUnit) -> Readiness:
    states: list[Readiness] = []

    def answers() -> bool:
        if state := unit.readiness():
            states.append(state)
        return bool(states)

    wait_for(unit, answers)
    return states[0]


def process_of(unit: ProcessUnit) -> subprocess.Popen[bytes]:
    assert unit._process is not None
    return unit._process


def test_it_runs_with_the_configuration_it_was_given_and_takes_the_next(
    unit: ProcessUnit, tmp_path: Path
) -> None:
    assert ready(unit).revision == 1
    unit.apply(2, config_of(tmp_path, **{"exporter.stale-after": "2m"}))
    assert ready(unit).revision == 2
    with pytest.raises(ConfigError, match="cannot listen on 203"):
        unit.apply(3, config_of(tmp_path, **{"exporter.web.listen-address": "203.0.113.1:1"}))
    assert ready(unit).revision == 2
    unit.take_back(1, config_of(tmp_path))
    assert ready(unit).revision == 1


def test_one_that_dies_again_and_again_is_started_ever_more_slowly(
    unit: ProcessUnit, caplog: pytest.LogCaptureFixture
) -> None:
    ready(unit)
    for count in (1, 2, 3):
        process_of(unit).kill()
        wait_for(unit, lambda count=count: len(deaths(caplog)) == count)  # type: ignore[misc]
        wait_for(unit, lambda: process_of(unit).poll() is None)
    assert deaths(caplog) == [0.05, 0.1, 0.2]
    ready(unit)


def deaths(caplog: pytest.LogCaptureFixture) -> list[float]:
    return [record.__dict__["restart_in"] for record in caplog.records if record.message == "role died"]


def test_one_that_died_gets_the_configuration_at_its_start(unit: ProcessUnit, tmp_path: Path) -> None:
    ready(unit)
    process_of(unit).kill()
    process_of(unit).wait()
    unit.apply(2, config_of(tmp_path))
    assert ready(unit).revision == 2


def test_one_that_is_starting_is_waited_for(unit: ProcessUnit, tmp_path: Path) -> None:
    unit.apply(2, config_of(tmp_path))
    assert ready(unit).revision == 2


def test_one_that_hangs_is_killed_and_starts_with_the_configuration_before(
    unit: ProcessUnit, tmp_path: Path
) -> None:
    ready(unit)
    unit._told._timeout = 0.2
    first = process_of(unit)
    os.kill(first.pid, signal.SIGSTOP)
    with pytest.raises(ConfigError, match=r"exporter: the role exporter did not answer .* within 0\.2 s"):
        unit.apply(2, config_of(tmp_path))
    assert first.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert ready(unit).revision == 1


def test_one_that_does_not_go_back_is_started_anew(unit: ProcessUnit, tmp_path: Path) -> None:
    ready(unit)
    first = process_of(unit)
    unit.apply(2, config_of(tmp_path, **{"exporter.stale-after": "2m"}))
    unit.take_back(1, config_of(tmp_path, **{"exporter.web.listen-address": "203.0.113.1:1"}))
    assert first.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert unit._revision == 1


def test_one_that_hangs_does_not_hold_up_a_stop_for_ever(unit: ProcessUnit) -> None:
    ready(unit)
    os.kill(process_of(unit).pid, signal.SIGSTOP)
    before = time.monotonic()
    unit.stop()
    assert process_of(unit).returncode == -signal.SIGKILL
    assert time.monotonic() - before < PATIENCE_SECONDS


def test_what_no_restart_mends_is_raised(tmp_path: Path) -> None:
    wrong = ProcessUnit(
        EXPORTER.name, 1, config_of(tmp_path, **{"exporter.web.listen-address": "203.0.113.1:1"})
    )
    wrong.start()
    with pytest.raises(RoleFailed, match=r"the role exporter cannot run \(exit status 3\)"):
        wait_for(wrong, lambda: False)
    wrong.stop()


def test_a_role_that_others_started_is_not_taken_for_its_own(tmp_path: Path) -> None:
    foreign = Readiness("exporter", "1", 7)
    told: list[bytes] = []

    def reload(body: bytes) -> int:
        told.append(body)
        return 7

    with local_server(tmp_path, "exporter", lambda: foreign, reload):
        unit = ProcessUnit(EXPORTER.name, 1, config_of(tmp_path))
        unit.start()
        reloading = threading.Thread(target=unit.apply, args=(2, config_of(tmp_path)))
        reloading.start()
        assert unit.readiness() is None
        with pytest.raises(RoleFailed, match=r"exit status 6"):
            wait_for(unit, lambda: False)
        reloading.join(PATIENCE_SECONDS)
        unit.stop()
    assert told == []


def test_one_that_never_started_needs_no_stop(tmp_path: Path) -> None:
    unit = ProcessUnit(EXPORTER.name, 1, config_of(tmp_path))
    unit.look()
    assert unit.readiness() is None
    unit.stop()
