"""The keeper on a disk, with a supervisor and a clock of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose_agent.config.remote import Files, RemoteStore
from compose_agent.errors import ComposeAgentError, ConfigError, Problem
from fleet.agent.configs import Keeper
from fleet.opamp.opamp_pb2 import (
    AgentRemoteConfig,
    RemoteConfigStatuses_APPLIED,
    RemoteConfigStatuses_APPLYING,
    RemoteConfigStatuses_FAILED,
    RemoteConfigStatuses_UNSET,
)

_WAIT_SECONDS = 60.0
NAMES = {
    RemoteConfigStatuses_UNSET: "unset",
    RemoteConfigStatuses_APPLIED: "applied",
    RemoteConfigStatuses_APPLYING: "applying",
    RemoteConfigStatuses_FAILED: "failed",
}


@dataclass
class Supervisor:
    """Reads what is in force on disk, and refuses texts in which ``bad`` stands."""

    store: RemoteStore
    applied: list[str] = field(default_factory=list)
    error: ComposeAgentError | None = None
    gate: threading.Event = field(default_factory=threading.Event)

    def reload(self) -> int:
        self.gate.wait(_WAIT_SECONDS)
        files = self.store.read().in_force
        text = files.files.get("agent.yml", "") if files else ""
        if self.error:
            error, self.error = self.error, None
            raise error
        if "bad" in text:
            raise ConfigError(Problem("manager/agent.yml:1", "bad is no option"))
        self.applied.append(text)
        return len(self.applied)


@dataclass
class Host:
    keeper: Keeper
    store: RemoteStore
    supervisor: Supervisor
    clock: list[float]

    def says(self) -> tuple[str, str]:
        status = self.keeper.status()
        return NAMES[status.status], status.last_remote_config_hash.decode()

    def until(self, true: Callable[[], object]) -> None:
        end = time.monotonic() + _WAIT_SECONDS
        while not true():
            assert time.monotonic() < end, (self.says(), self.store.read())
            time.sleep(0.005)

    def applies(self, name: str, text: str) -> None:
        """Offer a configuration, and have it tried."""
        before = len(self.supervisor.applied)
        self.clock[0] += 1.0
        self.keeper.offer(config(name, text))
        self.until(lambda: len(self.supervisor.applied) > before and self.keeper.waits())

    def keeps(self, name: str, text: str) -> None:
        """Offer a configuration, and answer after it was applied."""
        self.applies(name, text)
        self.keeper.spoke()
        self.keeper.answered()
        self.until(lambda: self.says() == ("applied", name))


def config(name: str, text: str | None) -> AgentRemoteConfig:
    given = AgentRemoteConfig(config_hash=name.encode())
    if text is not None:
        given.config.config_map["agent.yml"].body = text.encode()
    return given


def hash_of(name: str) -> str:
    return name.encode().hex()


def made(folder: Path) -> Host:
    store, clock = RemoteStore(folder), [0.0]
    supervisor = Supervisor(store)
    supervisor.gate.set()
    return Host(Keeper(store, supervisor.reload, lambda: 30.0, lambda: clock[0]), store, supervisor, clock)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    one = made(tmp_path)
    one.keeper.start()
    yield one
    one.keeper.stop()


def test_nothing_is_said_of_a_configuration_while_there_is_none(host: Host) -> None:
    assert host.says() == ("unset", "")


def test_what_was_applied_is_kept_when_the_manager_has_answered(host: Host) -> None:
    host.applies("A", "log.level: debug")
    assert host.says() == ("applying", "A")
    assert host.store.read().trial == Files(hash_of("A"), {"agent.yml": "log.level: debug"})
    host.keeper.spoke()
    assert not host.keeper.waits()
    host.keeper.answered()
    host.until(lambda: host.says() == ("applied", "A"))
    assert host.store.read().trial is None


def test_an_answer_to_something_older_is_none(host: Host) -> None:
    host.keeper.spoke()
    host.applies("A", "log.level: debug")
    host.keeper.answered()
    assert host.keeper.waits()
    assert host.says() == ("applying", "A")


def test_what_is_refused_changes_nothing_and_is_not_tried_again(host: Host) -> None:
    host.keeps("A", "log.level: debug")
    host.keeper.offer(config("B", "bad"))
    host.until(lambda: host.says() == ("failed", "B"))
    assert host.keeper.status().error_message == "manager/agent.yml:1: bad is no option"
    assert host.supervisor.applied == ["log.level: debug"]
    assert host.store.read().in_force == Files(hash_of("A"), {"agent.yml": "log.level: debug"})
    host.keeper.offer(config("B", "bad"))
    assert host.says() == ("failed", "B")


def test_a_return_to_what_was_good_before_is_one(host: Host) -> None:
    host.keeps("A", "log.level: debug")
    host.keeper.offer(config("B", "bad"))
    host.until(lambda: host.says() == ("failed", "B"))
    host.keeper.offer(config("A", "log.level: debug"))
    host.until(lambda: host.says() == ("applied", "A"))
    assert host.store.read().failed is None


def test_without_an_answer_the_one_before_comes_back(host: Host) -> None:
    host.keeps("A", "log.level: debug")
    host.applies("B", "agent.manager-url: nowhere")
    host.clock[0] += 31.0
    host.keeper._wake.set()  # the clock of the test moves at once, the one that the thread waits by does not
    host.until(lambda: host.says() == ("failed", "B"))
    assert "no answer of its manager for 30 s" in host.keeper.status().error_message
    host.until(lambda: host.supervisor.applied[-1] == "log.level: debug")


def test_what_comes_last_counts_while_another_one_is_being_applied(host: Host) -> None:
    host.keeps("A", "log.level: debug")
    host.supervisor.gate.clear()
    host.keeper.offer(config("B", "bad"))
    host.until(lambda: host.store.read().trial is not None)
    host.keeper.offer(config("A", "log.level: debug"))
    host.supervisor.gate.set()
    host.until(lambda: host.says() == ("applied", "A"))


def test_an_offer_of_what_is_being_applied_is_no_new_one(host: Host) -> None:
    host.supervisor.gate.clear()
    host.keeper.offer(config("A", "log.level: debug"))
    host.until(lambda: host.store.read().trial is not None)
    host.keeper.offer(config("A", "log.level: debug"))
    host.supervisor.gate.set()
    host.until(host.keeper.waits)
    assert host.supervisor.applied == ["log.level: debug"]


def test_a_supervisor_that_does_not_answer_is_told_to_go_back(host: Host) -> None:
    host.supervisor.error = ComposeAgentError("no answer")
    host.keeper.offer(config("A", "log.level: debug"))
    host.until(lambda: host.says() == ("failed", "A"))
    host.until(lambda: host.supervisor.applied == [""])


def test_a_configuration_of_nothing_takes_everything_away(host: Host) -> None:
    host.keeps("A", "log.level: debug")
    given = config("N", None)
    given.config.SetInParent()
    assert _texts(host.store) == {"agent.yml": "log.level: debug"}
    host.keeper.offer(given)
    host.until(lambda: _texts(host.store) == {})


def _texts(store: RemoteStore) -> object:
    files = store.read().in_force
    return dict(files.files) if files else {}


def test_a_trial_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    files = Files(hash_of("A"), {"agent.yml": "log.level: debug"})
    RemoteStore(tmp_path).change(lambda record: record.trying(files))
    host = made(tmp_path)
    host.keeper.start()
    host.until(host.keeper.waits)
    assert host.supervisor.applied == ["log.level: debug"]
    host.keeper.spoke()
    host.keeper.answered()
    host.until(lambda: host.says() == ("applied", "A"))
    host.keeper.stop()


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    host = made(tmp_path)
    (tmp_path / "remote-config.new").mkdir()  # in the way of the file that is put in place
    host.keeper.start()
    host.keeper.offer(config("A", "log.level: debug"))
    host.until(lambda: host.says() == ("failed", "A"))
    assert "cannot be written" in host.keeper.status().error_message
    host.keeper.stop()
