from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from compose_agent.errors import InstanceRunning, StateError
from compose_agent.statedb import StateFile

FIRST = "CREATE TABLE things (name TEXT); INSERT INTO things VALUES ('one')"
WRONG = "DELETE FROM others"
SECOND = "ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 7"


def state(folder: Path, steps: Sequence[str] = (FIRST,)) -> StateFile:
    return StateFile(folder, "keeper", "keeper", "nothing is lost", steps)


def test_a_new_file_takes_every_step(tmp_path: Path) -> None:
    database = state(tmp_path, (FIRST, SECOND)).open()
    assert database.execute("SELECT * FROM things").fetchall() == [("one", 7)]
    assert database.execute("PRAGMA user_version").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    database.close()


def test_no_statement_needs_a_folder_for_temporary_files(tmp_path: Path) -> None:
    file = state(tmp_path)
    for database in (file.open(), file.open_read_only()):
        assert database.execute("PRAGMA temp_store").fetchone() == (2,), "in memory"
        database.close()


def test_an_older_file_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    state(tmp_path).open().close()
    database = state(tmp_path, (FIRST, SECOND)).open()
    assert database.execute("SELECT * FROM things").fetchall() == [("one", 7)]
    database.close()


def test_a_step_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    state(tmp_path).open().close()
    with pytest.raises(StateError, match="no such table: others"):
        state(tmp_path, (FIRST, WRONG)).open()
    database = state(tmp_path).open()
    assert database.execute("SELECT * FROM things").fetchall() == [("one",)]
    database.close()


def test_a_newer_file_is_refused_by_who_writes_and_who_looks(tmp_path: Path) -> None:
    state(tmp_path, (FIRST, SECOND)).open().close()
    for open_it in (state(tmp_path).open, state(tmp_path).open_read_only):
        with pytest.raises(
            StateError, match=r"newer version \(schema 2, this one knows 1\): run that version"
        ):
            open_it()


def test_who_only_looks_sees_what_is_written_meanwhile_and_writes_nothing(tmp_path: Path) -> None:
    writer = state(tmp_path).open()
    reader = state(tmp_path).open_read_only()
    with writer:
        writer.execute("INSERT INTO things VALUES ('two')")
    assert reader.execute("SELECT count(*) FROM things").fetchone() == (2,)
    with pytest.raises(StateError, match="readonly"), state(tmp_path).explained():
        reader.execute("DELETE FROM things")
    reader.close()
    writer.close()


_KILLED = """
import os, sys
from pathlib import Path
from tests.test_statedb import state
database = state(Path(sys.argv[1])).open()
with database:
    database.execute("INSERT INTO things VALUES ('two')")
os.kill(os.getpid(), 9)
"""


def test_who_only_looks_sees_what_a_killed_process_wrote(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    reader = state(tmp_path).open_read_only()
    assert reader.execute("SELECT count(*) FROM things").fetchone() == (2,)
    reader.close()


def test_a_name_with_odd_characters_can_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "what? 100% #1"
    folder.mkdir()
    state(folder).open().close()
    state(folder).open_read_only().close()


def test_without_a_file_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"there is no state in .*keeper\.db: name the state directory"):
        state(tmp_path).open_read_only()
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_is_not_changed_by_who_only_looks(tmp_path: Path) -> None:
    state(tmp_path).open().close()
    with pytest.raises(StateError, match=r"older version \(schema 1 of 2\): start the keeper once"):
        state(tmp_path, (FIRST, SECOND)).open_read_only()


@pytest.mark.parametrize("content", [b"hello " * 1000, b"SQLite format 3\0" + b"\xa5" * 8192])
def test_what_is_no_database_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    state(tmp_path).path.write_bytes(content)
    for open_it in (state(tmp_path).open, state(tmp_path).open_read_only):
        with pytest.raises(StateError, match=r"move .*keeper\.db away; nothing is lost"):
            open_it()


def test_nobody_else_may_read_the_state(tmp_path: Path) -> None:
    database = state(tmp_path).open()
    assert [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o077] == []
    database.close()


def test_the_lock_is_one_processs_at_a_time(tmp_path: Path) -> None:
    lock = state(tmp_path / "new").lock()
    with pytest.raises(InstanceRunning, match=rf"a keeper runs on .* already \(pid {os.getpid()}\): stop it"):
        state(tmp_path / "new").lock(patience=0.2)
    os.close(lock)
    os.close(state(tmp_path / "new").lock())


def test_a_mistake_in_sql_does_not_call_the_file_damaged(tmp_path: Path) -> None:
    database = state(tmp_path).open()
    with pytest.raises(StateError, match="check its disk and rights"), state(tmp_path).explained():
        database.execute("INSERT INTO things VALUES (?, ?)", ("a", "b"))
    database.close()
    with pytest.raises(sqlite3.ProgrammingError):
        database.execute("SELECT 1")
