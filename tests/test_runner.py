from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.config import Config
from compose_agent.config.wire import encode_refusal, encode_revision
from compose_agent.errors import ConfigError, InstanceRunning, ListenError, Problem
from compose_agent.runner import Runner, configure_logs
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from tests.fakerole import SCHEMA, FakeSettings, Made, config_of

WRONG = ConfigError(Problem("f.yml:3", "is wrong"))


class Source:
    """What ``load`` gives: the configuration that was set last, or the error."""

    def __init__(self, config: Config) -> None:
        self.next: Config | ConfigError = config

    def load(self) -> Config:
        if isinstance(self.next, ConfigError):
            raise self.next
        return self.next


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(config_of(tmp_path))


@pytest.fixture
def runner(made: Made, source: Source) -> Iterator[Runner]:
    runner = Runner(made.spec(), SCHEMA, source.load(), source.load)
    yield runner
    runner.stop()


def test_a_role_is_started_answers_and_is_stopped(runner: Runner, made: Made, tmp_path: Path) -> None:
    runner.start()
    client = LocalClient(tmp_path, "fake")
    client.healthy()
    assert client.ready() == runner.readiness()
    assert runner.readiness().listeners == ("http://127.0.0.1:1",)
    runner.stop()
    runner.stop()
    assert made.role.done == ["start", "stop"]
    with pytest.raises(RoleNotRunning):
        client.healthy()


def test_a_reload_at_the_local_socket_reads_the_configuration_anew(
    runner: Runner, made: Made, source: Source, tmp_path: Path
) -> None:
    runner.start()
    source.next = config_of(tmp_path, word="second")
    assert LocalClient(tmp_path, "fake").reload() == 2
    assert made.role.word == "second"
    assert (made.role.state.revision, made.role.state.successful) == (2, True)


def test_a_wrong_configuration_leaves_the_one_in_force_until_it_is_mended(
    runner: Runner, made: Made, source: Source, tmp_path: Path
) -> None:
    runner.start()
    taken_at = made.role.state.last_success
    source.next = WRONG
    with pytest.raises(ConfigError, match=r"^f\.yml:3: is wrong$"):
        LocalClient(tmp_path, "fake").reload()
    assert made.role.done == ["start"]
    state = made.role.state
    assert (state.revision, state.successful, state.last_success) == (1, False, taken_at)
    source.next = config_of(tmp_path, word="second")
    assert runner.reload() == 2
    assert (state.revision, state.successful) == (2, True)
    assert state.last_success >= taken_at


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (WRONG, "f.yml:3: is wrong"),
        (ListenError("cannot listen", remedy="choose another"), "fake: cannot listen: choose another"),
    ],
)
def test_a_role_that_refuses_keeps_its_revision(
    refusal: ConfigError | ListenError, message: str, runner: Runner, made: Made
) -> None:
    runner.start()
    made.role.refuse = refusal
    with pytest.raises(ConfigError) as caught:
        runner.reload()
    assert str(caught.value) == message
    assert (made.role.state.revision, made.role.state.successful) == (1, False)


def test_a_role_that_cannot_start_leaves_no_socket(runner: Runner, made: Made, tmp_path: Path) -> None:
    made.role.fail_to_start = ListenError("cannot listen")
    with pytest.raises(ListenError):
        runner.start()
    assert list(tmp_path.iterdir()) == []
    runner.stop()
    assert made.role.done == []


def test_a_second_instance_is_refused_before_it_does_anything(runner: Runner, tmp_path: Path) -> None:
    runner.start()
    second = Made()
    with pytest.raises(InstanceRunning, match=r"fake\.sock is in use by the process with pid \d+: stop it"):
        Runner(second.spec(), SCHEMA, config_of(tmp_path)).start()
    assert second.role.done == []
    LocalClient(tmp_path, "fake").healthy()


def test_what_needs_a_start_waits_for_it_and_the_log_says_so(
    runner: Runner, made: Made, source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner.start()
    source.next = config_of(tmp_path, word="second", fixed="second")
    runner.reload()
    assert made.role.config.of(FakeSettings) == FakeSettings("second", "first")
    waiting = [record for record in caplog.records if record.getMessage() == "takes effect at the next start"]
    assert [getattr(record, "option", None) for record in waiting] == ["fake.fixed"]


def test_a_new_log_level_takes_effect_at_once_and_a_refused_one_does_not(
    runner: Runner, made: Made, source: Source, tmp_path: Path
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs(source.load(), "fake")
        runner.start()
        source.next = config_of(tmp_path, log_level="debug")
        made.role.refuse = WRONG
        with pytest.raises(ConfigError):
            runner.reload()
        assert root.level == logging.INFO
        made.role.refuse = None
        runner.reload()
        assert root.level == logging.DEBUG
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])


def test_reloads_that_meet_are_done_one_after_the_other(made: Made, tmp_path: Path) -> None:
    words = iter("abcdefgh")
    busy = threading.Lock()

    def load() -> Config:
        assert busy.acquire(blocking=False), "two at once"
        time.sleep(0.01)  # long enough for the others to come
        busy.release()
        return config_of(tmp_path, word=next(words))

    runner = Runner(made.spec(), SCHEMA, config_of(tmp_path), load)
    runner.start()
    threads = [threading.Thread(target=runner.reload) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.role.state.revision == 9
    assert made.role.word == "h"
    runner.stop()


def test_the_same_configuration_once_more_is_no_new_revision(
    runner: Runner, made: Made, source: Source, tmp_path: Path
) -> None:
    runner.start()
    source.next = WRONG
    with pytest.raises(ConfigError):
        runner.reload()
    source.next = config_of(tmp_path)
    assert runner.reload() == 1
    assert made.role.state.successful


def test_a_supervised_role_takes_what_its_supervisor_sends(made: Made, tmp_path: Path) -> None:
    runner = Runner(made.spec(), SCHEMA, config_of(tmp_path), revision=4)
    runner.start()
    client = LocalClient(tmp_path, "fake")
    assert client.reload(encode_revision(5, config_of(tmp_path, word="fifth"))) == 5
    assert made.role.word == "fifth"
    with pytest.raises(ConfigError, match=r"^configuration: f\.yml:3: is wrong$"):
        client.reload(encode_refusal(WRONG))
    assert (made.role.state.revision, made.role.state.successful) == (5, False)
    with pytest.raises(ConfigError, match=r"^fake: is supervised: reload its supervisor"):
        client.reload()
    runner.stop()
