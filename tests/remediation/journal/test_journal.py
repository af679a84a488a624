from __future__ import annotations

import os
import random
import signal as signals
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from compose_agent.errors import InstanceRunning, StateError
from remediation.journal import Journal, Tx, look, verify_audit
from tests.descriptors import descriptors
from tests.log_forwarder.making import until
from tests.remediation.journal.making import episode, intent, signal

KILLS = 8


def flags(journal: Journal, *names: str) -> list[str | None]:
    return journal.read(lambda view: [view.flag(name) for name in names])


def test_a_work_that_raises_harms_no_other(journal: Journal) -> None:
    class Odd(Exception):
        pass

    def fail(tx: Tx) -> None:
        tx.set_flag("bad", "written")
        tx.count("no_policy", "")
        raise Odd

    def work(name: str) -> Callable[[Tx], None]:
        return lambda tx: tx.set_flag(name, "written")

    failures = together(journal, [work("one"), fail, work("two")])
    assert [type(each) for each in failures] == [type(None), Odd, type(None)]
    assert flags(journal, "one", "bad", "two") == ["written", None, "written"]
    assert journal.decisions() == {}


def test_a_work_that_sqlite_refuses_harms_no_other(journal: Journal) -> None:
    def wrong(tx: Tx) -> None:
        tx.set_flag("bad", "written")
        tx.put_episode(episode("e2"))

    journal.write(lambda tx: tx.put_episode(episode("e1")))
    failures = together(journal, [lambda tx: tx.set_flag("one", "written"), wrong])
    assert failures[0] is None
    assert isinstance(failures[1], StateError)
    assert flags(journal, "one", "bad") == ["written", None]
    assert journal.error == ""


def together(journal: Journal, works: list[Callable[[Tx], Any]]) -> list[BaseException | None]:
    """Have works queued in their order while the writer is held up, and return what each of them raised."""
    go_on, held = threading.Event(), threading.Event()

    def hold(_tx: Tx) -> None:
        held.set()
        go_on.wait()

    with ThreadPoolExecutor(1 + len(works)) as pool:
        pool.submit(journal.write, hold)
        held.wait()
        futures = []
        for work in works:
            futures.append(pool.submit(journal.write, work))
            until(lambda: journal._writer._queue.qsize() == len(futures))
        go_on.set()
        return [future.exception() for future in futures]


def test_works_are_done_in_the_order_in_which_they_came_and_see_one_another(journal: Journal) -> None:
    def add(number: int) -> Callable[[Tx], None]:
        return lambda tx: tx.set_flag("order", f"{tx.flag('order') or ''}{number} ")

    commits: list[str] = []
    journal._database.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
    assert together(journal, [add(number) for number in range(20)]) == [None] * 20
    assert flags(journal, "order") == ["".join(f"{number} " for number in range(20))]
    # One for who held the writer up, one for all that waited meanwhile.
    assert len(commits) == 2


def test_nobody_sees_what_is_not_on_disk(journal: Journal) -> None:
    def work(tx: Tx) -> list[str | None]:
        tx.set_flag("new", "written")
        return [tx.flag("new"), *flags(journal, "new")]

    assert journal.write(work) == ["written", None]
    assert flags(journal, "new") == ["written"]


def test_a_transaction_cannot_wait_for_another_one(journal: Journal) -> None:
    with pytest.raises(RuntimeError, match="cannot wait"):
        journal.write(lambda _tx: journal.write(lambda tx: tx.set_flag("a", "b")))


def test_decisions_are_counted_when_they_are_on_disk(journal: Journal) -> None:
    for _ in range(2):
        journal.write(lambda tx: tx.count("duplicate", "mend"))
    assert journal.decisions() == {("duplicate", "mend"): 2}


def test_threads_share_the_journal(journal: Journal) -> None:
    def write(thread: int) -> None:
        for number in range(25):
            journal.receive([signal(f"{thread}-{number}")])
            journal.read(lambda view: view.inbox(5))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [each.fingerprint for _, each in journal.read(lambda view: view.inbox(999)) if each]
    for number in range(8):
        own = [each for each in found if each.startswith(f"{number}-")]
        assert own == [f"{number}-{at}" for at in range(25)]


def test_a_closed_journal_takes_nothing_more_and_can_be_opened_again(tmp_path: Path) -> None:
    before = descriptors(tmp_path)
    journal = Journal(tmp_path)
    journal.receive([signal()])
    journal.close()
    with pytest.raises(StateError, match="is closed"):
        journal.receive([signal()])
    with pytest.raises(StateError):
        journal.read(lambda view: view.inbox(9))
    again = Journal(tmp_path)
    assert len(again.read(lambda view: view.inbox(9))) == 1
    again.close()
    assert descriptors(tmp_path) == before


@pytest.mark.usefixtures("journal")
def test_a_second_instance_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with pytest.raises(InstanceRunning, match=rf"remediation role runs on .* already \(pid {os.getpid()}\)"):
        Journal(tmp_path)
    with look(tmp_path) as view:
        assert view.inbox(9) == []


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "remediation.db")) as database:
        database.execute("PRAGMA user_version = 99")
    before = (tmp_path / "remediation.db").read_bytes()
    for _ in range(2):  # the lock is let go
        with pytest.raises(StateError, match="written by a newer version"):
            Journal(tmp_path)
    with pytest.raises(StateError, match="written by a newer version"), look(tmp_path):
        pass
    assert (tmp_path / "remediation.db").read_bytes() == before


def test_a_damaged_journal_is_refused_with_what_to_do(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    path = tmp_path / "remediation.db"
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    with pytest.raises(StateError, match=r"move .*remediation\.db away; what was done"):
        Journal(tmp_path)
    with pytest.raises(StateError, match="move "):
        verify_audit(tmp_path)


def test_a_damaged_row_is_a_state_error(journal: Journal) -> None:
    journal.write(lambda tx: tx.put_intent(intent()))
    journal._database.execute("UPDATE intents SET data = '{'")
    for access in (journal.read, journal.write):
        with pytest.raises(StateError, match=r"remediation\.db fails"):
            access(lambda view: view.intent("i1"))


_FULL_DISK = """
import resource, sys
from pathlib import Path
from compose_agent.errors import StateError
from remediation.journal import Journal, verify_audit
from tests.remediation.journal.making import signal

folder = Path(sys.argv[1])
journal = Journal(folder)
journal.receive([signal("before")])
room = (folder / "remediation.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        journal.receive([signal(str(number)) for number in range(300)])
    except StateError as error:
        print("failed:", bool(journal.error), error)
found = lambda view: [each.fingerprint for _, each in view.inbox(9)]
print(journal.read(found))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.receive([signal("after")])
print(journal.read(found), bool(journal.error), verify_audit(folder).broken)
journal.close()
"""


def test_a_full_disk_is_an_error_until_it_is_over_and_loses_nothing(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert all(line.startswith("failed: True the state in ") for line in said[:2]), said
    assert said[2:] == ["['before']", "['before', 'after'] False 0"]


_WRITER = """
import sys, threading
from pathlib import Path
from remediation.journal import Journal
from tests.remediation.journal.making import signal

journal = Journal(Path(sys.argv[1]), patience=20)
said = threading.Lock()

def write(thread):
    number = 0
    while True:
        number += 1
        name = f"{sys.argv[2]}-{thread}-{number}"
        journal.receive([signal(f"{name}-{part}") for part in range(3)])
        with said:
            sys.stdout.write(name + "\\n")
            sys.stdout.flush()

for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    moments = random.Random(7)  # noqa: S311 - moments, not secrets
    acknowledged: set[str] = set()
    for run in range(KILLS):
        command = [sys.executable, "-c", _WRITER, str(tmp_path), str(run)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            acknowledged.add(writer.stdout.readline().strip())
            time.sleep(moments.uniform(0.0, 0.3))
            writer.send_signal(signals.SIGKILL)
            lines = writer.stdout.read().splitlines(keepends=True)
        acknowledged |= {line.strip() for line in lines if line.endswith("\n")}
        with look(tmp_path) as view:
            found = {each.fingerprint for _, each in view.inbox(10**6) if each}
        assert {f"{name}-{part}" for name in acknowledged for part in range(3)} <= found
        # Of what was not acknowledged a group is there whole or not at all.
        groups = {name.rpartition("-")[0] for name in found}
        assert len(found) == 3 * len(groups)
        verdict = verify_audit(tmp_path)
        assert (verdict.broken, verdict.entries) == (0, len(found))
