"""A start with what a manager has set, which must not keep the host from starting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from compose_agent.commands.remote import Guarded
from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Config, ConfigSource
from compose_agent.config.general import GeneralSettings
from compose_agent.config.remote import Files, Record, RemoteStore
from compose_agent.errors import ConfigError, Problem
from compose_agent.role import RoleSpec
from compose_agent.units import RoleFailed

GOOD = Files("aa", {"agent.yml": "log.level: debug\n"})
WRONG = Files("bb", {"agent.yml": "log.level: loud\n"})
REFUSED = Files("cc", {"agent.yml": "log.level: error\n"})


def choose(config: Config) -> Sequence[RoleSpec]:
    """Refuse a configuration as a role does."""
    if config.of(GeneralSettings).log_level == "error":
        raise ConfigError(Problem("exporter", "does not want that"))
    return []


def guarded(folder: Path, record: Record, text: str = "") -> tuple[Guarded, RemoteStore]:
    store = RemoteStore(folder / "state")
    store.change(lambda _record: record)
    file = folder / "agent.yml"
    file.write_text(text)
    return Guarded(ConfigSource(SCHEMA, {}, {}, file, remote=store), choose), store


def level(config: Config) -> str:
    return config.of(GeneralSettings).log_level


def test_it_starts_with_what_the_manager_has_set(tmp_path: Path) -> None:
    one, store = guarded(tmp_path, Record(current=GOOD))
    assert level(one.first()) == "debug"
    one.has_started()
    assert store.read().started


@pytest.mark.parametrize("files", [WRONG, REFUSED])
@pytest.mark.parametrize("on_trial", [False, True])
def test_what_it_cannot_start_with_is_dropped(files: Files, on_trial: bool, tmp_path: Path) -> None:
    record = Record(trial=files) if on_trial else Record(current=files)
    one, store = guarded(tmp_path, record)
    assert level(one.first()) == "info"
    failed = store.read().failed
    assert failed is not None
    assert failed.hash == files.hash
    assert failed.reason.startswith("the agent does not start with it: ")
    assert store.read().in_force is None


def test_a_mistake_of_the_host_s_own_is_its_own(tmp_path: Path) -> None:
    one, store = guarded(tmp_path, Record(current=GOOD), "log.levle: info\n")
    with pytest.raises(ConfigError, match=r"log\.levle"):
        one.first()
    assert store.read() == Record(current=GOOD)


def test_a_trial_has_three_starts(tmp_path: Path) -> None:
    one, store = guarded(tmp_path, Record(trial=GOOD))
    assert [level(one.first()) for _ in range(4)] == ["debug", "debug", "debug", "info"]
    assert store.read().trial is None


def test_a_role_that_cannot_run_is_blamed_on_it_until_a_start_was_good(tmp_path: Path) -> None:
    one, store = guarded(tmp_path, Record(current=GOOD))
    one.first()
    one.has_started()
    assert not one.drops_after(RoleFailed("exporter", 3))
    store.change(lambda _record: Record(current=GOOD))
    assert one.drops_after(RoleFailed("exporter", 3))
    assert level(one.first()) == "info"
    assert not one.drops_after(RoleFailed("exporter", 3))


def test_a_start_says_nothing_of_what_came_into_force_after_it(tmp_path: Path) -> None:
    one, store = guarded(tmp_path, Record(current=GOOD))
    one.first()
    store.change(lambda _record: Record(current=REFUSED))  # while the roles were still coming up
    one.has_started()
    assert not store.read().started
    assert one.drops_after(RoleFailed("exporter", 3))


def test_on_trial_everything_is_judged(tmp_path: Path) -> None:
    files = Files("dd", {"agent.yml": "agent.ca-file: /nowhere\n"})
    text = "agent.remote-options: [log, agent.ca-file]\nagent.manager-url: wss://m/agent\n"
    one, _ = guarded(tmp_path, Record(trial=files), text)
    with pytest.raises(ConfigError, match="/nowhere: holds no certificates"):
        one.load([])
