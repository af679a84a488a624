"""What a manager sets, as a layer and on disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import ConfigSource
from compose_agent.config.general import GeneralSettings
from compose_agent.config.remote import Files, Record, RemoteStore, may_set, remote_layer, without_forbidden
from compose_agent.errors import ConfigError, StateError
from exporter.settings import ExporterSettings

A = Files("aa", {"agent.yml": "log.level: debug\n"})
B = Files("bb", {"agent.yml": "log.level: error\n"})


@pytest.mark.parametrize(
    ("key", "allowed", "may"),
    [
        ("log.level", ("log.level",), True),
        ("log.level", ("log",), True),
        ("log.level", ("log.lev",), False),
        ("logs.workers", ("log",), False),
        ("log.level", ("none",), False),
        ("agent.manager-url", ("agent",), True),
        ("agent.remote-options", ("agent", "agent.remote-options"), False),
        ("agent.commands", ("agent",), False),
        ("agent.environment", ("agent.environment",), False),
        ("state-dir", ("state-dir",), False),
    ],
)
def test_what_may_be_set_from_afar(key: str, allowed: tuple[str, ...], may: bool) -> None:
    assert may_set(key, allowed) is may


def test_files_are_laid_over_one_another_by_name_and_every_problem_is_told() -> None:
    files = {
        "20.yml": "log: {level: error}\n",
        "10.yml": "log.level: debug\nlog.format: json\n",
        "30.yml": "\nlogs.workers: 2\nlog.levle: x\n",
        "40.yml": "a: 1\n b: 2\n",
    }
    layer, problems = remote_layer(SCHEMA, Files("aa", files), ("log",))
    assert (layer["log.level"].value, layer["log.level"].where) == ("error", "manager/20.yml:1")
    assert layer["log.format"].value == "json"
    assert [str(each).partition(": see")[0] for each in problems] == [
        "manager/30.yml:3: unknown option 'log.levle', did you mean 'log.level'?",
        "manager/30.yml:2: this host does not let 'logs.workers' be set from afar",
        "manager/40.yml:2: is not valid YAML: mapping values are not allowed here",
    ]


def test_what_a_host_no_longer_allows_counts_no_more() -> None:
    layer, _ = remote_layer(SCHEMA, A, ("log",))
    assert without_forbidden(layer, ("exporter",)) == {}
    assert without_forbidden(layer, ("log.level",)) == layer


def source(folder: Path, text: str, *, record: Record) -> ConfigSource:
    store = RemoteStore(folder / "state")
    store.change(lambda _record: record)
    file = folder / "agent.yml"
    file.write_text(text)
    return ConfigSource(SCHEMA, {"COMPOSE_AGENT_LOG_LEVEL": "warning"}, {}, file, remote=store)


def test_it_is_the_strongest_layer(tmp_path: Path) -> None:
    config = source(tmp_path, "log.level: info\n", record=Record(current=A)).load()
    assert config.of(GeneralSettings).log_level == "debug"
    assert config.given["log.level"].where == "manager/agent.yml:1"


def test_what_is_on_trial_comes_before_what_is_confirmed(tmp_path: Path) -> None:
    config = source(tmp_path, "", record=Record(current=A, trial=B)).load()
    assert config.of(GeneralSettings).log_level == "error"


def test_a_host_that_allows_nothing_has_its_own(tmp_path: Path) -> None:
    config = source(tmp_path, "agent.remote-options: none\n", record=Record(current=A)).load()
    assert config.of(GeneralSettings).log_level == "warning"


def test_what_is_not_allowed_is_refused_on_trial_and_passed_over_later(tmp_path: Path) -> None:
    files = Files("cc", {"agent.yml": "exporter.scrape-timeout: 7s\n"})
    with pytest.raises(ConfigError, match=r"does not let 'exporter\.scrape-timeout' be set from afar"):
        source(tmp_path, "", record=Record(trial=files)).load()
    config = source(tmp_path, "", record=Record(current=files)).load()
    assert config.of(ExporterSettings).scrape_timeout == 9.0


def test_the_record_tells_what_became_of_each() -> None:
    record = Record().trying(A).confirmed()
    assert record == Record(current=A)
    record = record.trying(B)
    assert record.in_force == B
    refused = record.refused("bb", "why")
    assert (refused.in_force, refused.failed and refused.failed.hash) == (A, "bb")
    assert refused.returned() == Record(current=A)
    assert record.dropped("why").in_force == A
    assert Record(current=A).dropped("why").in_force is None
    assert Record().dropped("why") == Record()
    assert record.has_started().confirmed().started
    assert not record.has_started().trying(A).started


def test_changes_of_several_at_once_are_all_there(tmp_path: Path) -> None:
    stores = [RemoteStore(tmp_path) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda one=store: [one.change(Record.start) for _ in range(10)])
        for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].read().starts == 40


def test_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "remote-config.json").write_text('{"current": 7}')
    assert RemoteStore(tmp_path).read() == Record()


def test_what_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StateError, match="cannot be written to"):
        RemoteStore(tmp_path / "state").change(Record.start)


def test_others_cannot_read_it(tmp_path: Path) -> None:
    RemoteStore(tmp_path).change(lambda record: record.trying(A))
    assert (tmp_path / "remote-config.json").stat().st_mode & 0o077 == 0
