from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from compose_agent.errors import InstanceRunning, StateError
from compose_agent.statedb import StateFile
from fleet.database import PARTS, Database, Tables

_ONE = "CREATE TABLE things (name TEXT PRIMARY KEY);\nCREATE INDEX things_by_name ON things (name);"
_TWO = "ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 7;"


def opened(folder: Path) -> Database:
    return Database(StateFile(folder, "manager", "manager", "it is gone", [PARTS]))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(opened(tmp_path)) as made:
        yield made


def names(database: Database) -> list[str]:
    return database.read(lambda tx: [row[0] for row in tx.execute("SELECT name FROM things")])


def put(database: Database, name: str) -> None:
    database.write(lambda tx: tx.execute("INSERT INTO things (name) VALUES (?)", (name,)))


def test_tables_grow_with_their_versions_and_keep_what_is_in_them(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as first:
        first.add(Tables("things", [_ONE]))
        first.add(Tables("others", ["CREATE TABLE others (x);"]))
        put(first, "a")
    with closing(opened(tmp_path)) as later:
        later.add(Tables("things", [_ONE, _TWO]))
        rows = later.read(lambda tx: tx.execute("SELECT name, size FROM things").fetchall())
    assert rows == [("a", 7)]


def test_tables_of_a_newer_version_are_refused(database: Database) -> None:
    database.add(Tables("things", [_ONE, _TWO]))
    with pytest.raises(StateError, match=r"newer version \(schema 2, this one knows 1\)"):
        database.add(Tables("things", [_ONE]))


def test_a_step_that_fails_leaves_the_version_before(database: Database) -> None:
    database.add(Tables("things", [_ONE]))
    with pytest.raises(StateError):
        database.add(Tables("things", [_ONE, _TWO, "CREATE TABLE things (x);"]))
    database.add(Tables("things", [_ONE, _TWO]))


def test_a_work_that_fails_undoes_only_itself(database: Database) -> None:
    database.add(Tables("things", [_ONE]))

    def fails(tx: sqlite3.Connection) -> None:
        tx.execute("INSERT INTO things (name) VALUES ('lost')")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write(fails)
    put(database, "kept")
    assert names(database) == ["kept"]


def test_who_reads_changes_nothing(database: Database) -> None:
    database.add(Tables("things", [_ONE]))
    with pytest.raises(StateError, match="readonly"):
        database.read(lambda tx: tx.execute("INSERT INTO things (name) VALUES ('x')"))


@pytest.mark.usefixtures("database")
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstanceRunning, match="a manager runs on"):
        opened(tmp_path)


def test_after_its_end_it_says_so(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.close()
    database.close()
    with pytest.raises(StateError, match="is closed"):
        put(database, "x")
