from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.errors import InstanceRunning, StateError
from log_forwarder.event import Mark, Position
from log_forwarder.store import Spooled, Store, state_file
from tests.descriptors import descriptors
from tests.log_forwarder.making import until

HERE = Position(Mark("g1", 100))
LATER = Position(Mark("g2", 5), (("stderr", Mark("g1", 50)), ("stdout", Mark("g2", 1))))
KEY = ("es", "c1")
FILE_NAME = "forwarder.db"
LOCK_NAME = "forwarder.lock"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def test_positions_come_back_by_sink(store: Store) -> None:
    store.keep({KEY: HERE, ("es", "c2"): LATER, ("kafka", "c1"): LATER})
    store.keep({KEY: LATER})
    assert store.positions("es") == {"c1": LATER, "c2": LATER}
    assert store.positions("kafka") == {"c1": LATER}
    assert store.positions("loki") == {}


def test_positions_outlive_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep({KEY: LATER})
    born = store.born
    store.close()
    again = Store(tmp_path)
    assert again.positions("es") == {"c1": LATER}
    assert again.born == born
    again.close()


def test_the_state_knows_when_it_was_born(store: Store) -> None:
    assert abs(store.born - time.time()) < 60


def test_a_container_that_is_gone_is_forgotten_with_everything(store: Store) -> None:
    store.keep({KEY: HERE, ("es", "c2"): HERE, ("kafka", "c1"): HERE})
    store.add_generation("c1", "g1", b"print", 1)
    store.add_generation("c2", "g1", b"print", 1)
    store.forget("c1")
    assert store.positions("es") == {"c2": HERE}
    assert store.positions("kafka") == {}
    assert store.names("c1").name(b"print", 1, [], moved=False) != "g1"
    assert store.names("c2").name(b"print", 1, [], moved=False) == "g1"


def test_copies_in_the_spool_are_known_oldest_first(store: Store) -> None:
    one = Spooled("c1", "g1", 10, 20, False, 4_000_000_000, b"{}")
    two = Spooled("c1", "g0", 0, 5, True, 1, b"{}")
    store.add_spooled(one)
    store.add_spooled(two)
    assert store.spooled() == [one, two]
    store.remove_spooled("c1", "g1")
    assert store.spooled() == [two]


def test_only_this_user_may_read_the_state(store: Store, tmp_path: Path) -> None:
    store.keep({KEY: HERE})
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.usefixtures("store")
def test_a_second_instance_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with pytest.raises(InstanceRunning, match=rf"runs on .* already \(pid {os.getpid()}\)"):
        Store(tmp_path)


def test_a_closed_store_can_be_opened_again(tmp_path: Path) -> None:
    before = descriptors(tmp_path)
    for _ in range(3):
        Store(tmp_path).close()
    assert descriptors(tmp_path) == before


def test_state_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute(f"PRAGMA user_version = {len(state_file(tmp_path).steps) + 1}")
    database.close()
    for _ in range(2):  # the lock is let go
        with pytest.raises(StateError, match=r"written by a newer version .*: run that version, or choose"):
            Store(tmp_path)


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"hello " * 1000)
    for _ in range(2):
        with pytest.raises(StateError, match=r"file is not a database\): move .* away"):
            Store(tmp_path)


def damage(folder: Path, first_page: int = 1) -> None:
    """Overwrite everything behind the first pages."""
    path = folder / FILE_NAME
    data = bytearray(path.read_bytes())
    data[4096 * first_page :] = b"\xa5" * (len(data) - 4096 * first_page)
    path.write_bytes(data)


def test_a_damaged_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    Store(tmp_path).close()
    damage(tmp_path)
    with pytest.raises(StateError, match=r"malformed\): move .* away"):
        Store(tmp_path)


def test_a_damaged_database_leaves_no_lock(tmp_path: Path) -> None:
    Store(tmp_path).close()
    damage(tmp_path)
    for _ in range(2):
        with pytest.raises(StateError):
            Store(tmp_path)


def test_a_damaged_position_is_a_state_error(store: Store) -> None:
    store._database.execute("INSERT INTO positions VALUES ('es', 'c1', x'ff00', 0)")
    with pytest.raises(StateError):
        store.positions("es")


def test_a_folder_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot be used \(Not a directory\): make it writable"):
        Store(tmp_path / "file" / "state")


_UNPRIVILEGED = """
import os, sys
from pathlib import Path
from compose_agent.errors import StateError
from log_forwarder.store import Store
import log_forwarder.event, sqlite3, msgspec
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    Store(Path(sys.argv[1]))
except StateError as error:
    print("StateError", error)
except OSError as error:
    print("raw", error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
@pytest.mark.parametrize(
    "mode",
    [
        0o500,
        0o555,
        pytest.param(
            0o777,
        ),
    ],
)
def test_a_folder_of_another_user_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "state"
    Store(folder).close()
    for path in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
        path.chmod(0o755)
    folder.chmod(mode)
    if mode == 0o777:
        (folder / LOCK_NAME).unlink()
        (folder / FILE_NAME).chmod(0o666)
    done = run(_UNPRIVILEGED, folder)
    assert done.startswith("StateError the state"), done


def run(program: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], check=True, capture_output=True, text=True
    )
    return done.stdout


_FULL_DISK = """
import resource, sys
from pathlib import Path
from log_forwarder.event import Mark, Position
from compose_agent.errors import StateError
from log_forwarder.store import Store
store = Store(Path(sys.argv[1]))
store.keep({("es", "c1"): Position(Mark("g", 1))})
wal = Path(sys.argv[1], "forwarder.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (wal, resource.RLIM_INFINITY))
try:
    store.keep({("es", f"c{n}"): Position(Mark("g" * 100, n)) for n in range(500)})
except StateError as error:
    print("failed:", bool(store.error), error)
print(sorted(store.positions("es")))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.keep({("es", "c2"): Position(Mark("g", 2))})
print(sorted(store.positions("es")), bool(store.error))
store.close()
"""


def test_a_full_disk_is_an_error_until_it_is_over_and_damages_nothing(tmp_path: Path) -> None:
    failed, before, after = run(_FULL_DISK, tmp_path).splitlines()
    assert failed.startswith("failed: True the state in ")
    assert before == "['c1']"
    assert after == "['c1', 'c2'] False"
    Store(tmp_path).close()


_NO_ROOM_AT_ALL = """
import resource, sys
from pathlib import Path
from compose_agent.errors import StateError
from log_forwarder.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    Store(Path(sys.argv[1]))
except StateError as error:
    print("StateError", error)
except OSError as error:
    print("raw", error)
"""


def test_a_start_on_a_full_disk_is_refused_with_what_to_do(tmp_path: Path) -> None:
    assert run(_NO_ROOM_AT_ALL, tmp_path).startswith("StateError")


_WRITER = """
import sys
from pathlib import Path
from log_forwarder.event import Mark, Position
from log_forwarder.store import Store
store = Store(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    store.keep({("es", "a"): Position(Mark("g", number)), ("es", "b"): Position(Mark("g", number))})
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_leaves_the_last_positions_whole(tmp_path: Path) -> None:
    said = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                said = int(line)
                if said >= 200:
                    break
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().splitlines(keepends=True)
        said = max([said, *(int(line) for line in rest if line.endswith("\n"))])
        store = Store(tmp_path)
        positions = store.positions("es")
        store.close()
        assert positions["a"] == positions["b"]
        assert positions["a"].mark.offset >= said


def test_threads_share_the_store(store: Store) -> None:
    def write(sink: str) -> None:
        for number in range(50):
            store.keep({(sink, "c"): Position(Mark("g", number))})
            store.positions(sink)

    threads = [threading.Thread(target=write, args=(f"s{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: not any(thread.is_alive() for thread in threads))
    assert [store.positions(f"s{number}")["c"].mark.offset for number in range(4)] == [49] * 4


def test_somebody_may_look_at_the_state_meanwhile(store: Store, tmp_path: Path) -> None:
    looker = sqlite3.connect(f"file:{tmp_path / FILE_NAME}?mode=ro", uri=True)
    store.keep({KEY: HERE})
    assert looker.execute("SELECT sink, container FROM positions").fetchall() == [KEY]
    looker.close()


# -- names of generations


def test_a_file_keeps_its_name_by_content_and_inode(store: Store) -> None:
    names = store.names("c")
    name = names.name(b"print", 7, [], moved=False)
    assert names.name(b"print", 7, [], moved=False) == name
    assert store.names("c").name(b"print", 7, [], moved=True) == name


def test_a_file_with_another_content_or_inode_has_another_name(store: Store) -> None:
    names = store.names("c")
    name = names.name(b"print", 7, [], moved=False)
    assert names.name(b"other", 7, [(7, name)], moved=False) != name
    assert names.name(b"print", 8, [(7, name)], moved=False) != name


def test_a_file_that_moved_is_known_by_its_content(store: Store) -> None:
    name = store.names("c").name(b"print", 7, [], moved=False)
    assert store.names("c").name(b"print", 99, [(1, "")], moved=True) == name


def test_a_name_is_not_given_to_two_files(store: Store) -> None:
    names = store.names("c")
    first = names.name(b"print", 7, [], moved=False)
    second = names.name(b"print", 8, [(7, first)], moved=True)
    assert first != second


def test_a_file_that_was_compressed_is_known_by_its_content_alone(store: Store) -> None:
    name = store.names("c").name(b"print of a", 7, [], moved=False)
    assert store.names("c").name(b"print of a", 99, [], moved=True) == name


def test_a_file_that_was_cut_to_the_same_beginning_has_a_name_of_its_own(store: Store) -> None:
    names = store.names("c")
    name = names.name(b"print", 7, [], moved=False)
    assert names.name(b"print", 7, [(7, name)], moved=False, renewed=True) != name


def test_names_are_the_same_in_a_new_state_directory(tmp_path: Path) -> None:
    found = []
    for folder in ("one", "two"):
        store = Store(tmp_path / folder)
        found.append(store.names("c").name(b"print", 7, [], moved=True))
        store.close()
    assert found[0] == found[1]


def test_names_nobody_needs_are_forgotten(store: Store) -> None:
    names = store.names("c")
    one, two, three = (names.name(bytes([at]), at, [], moved=False) for at in (1, 2, 3))
    names.forget_before("nobody's", [])
    names.forget_before(two, [])
    assert store._rows("SELECT name FROM generations ORDER BY at", ()) == [(two,), (three,)]
    assert names.known() == {two, three}
    names.forget_before(two, [three, one])
    assert names.known() == store.names("c").known() == {two}


def test_what_is_gone_between_two_that_are_needed_is_not_forgotten(store: Store) -> None:
    """Else nobody would know that lines are lost."""
    names = store.names("c")
    one, two, three, four = (names.name(bytes([at]), at, [], moved=False) for at in range(4))
    names.forget_before(two, [])
    again = store.names("c")
    assert (again.between(two, four), again.between(one, four)) == ([three], [])
