from __future__ import annotations

import errno
import json
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from log_forwarder import deadletters
from log_forwarder.deadletters import FILE_NAME, DeadLetters, append
from log_forwarder.event import Event
from tests.descriptors import descriptors
from tests.log_forwarder.making import ID, PATIENCE_SECONDS, container, moment, until

NEVER = threading.Event()


def put(letters: DeadLetters, text: str = "text", abandon: threading.Event = NEVER) -> None:
    event = Event(text, "stderr", moment(1), {"tag": "a"}, "id-1", {"level": "error"})
    letters.put("es", container(labels={"team": "shop"}), event, "mapping conflict", abandon)


def test_a_letter_says_what_was_refused_by_whom_and_why(tmp_path: Path) -> None:
    put(DeadLetters(tmp_path), 'a "quoted"\nline ü')
    (line,) = (tmp_path / FILE_NAME).read_bytes().splitlines()
    letter = json.loads(line)
    assert letter.pop("at")
    assert letter == {
        "sink": "es",
        "reason": "mapping conflict",
        "event": {
            "log": 'a "quoted"\nline ü',
            "stream": "stderr",
            "time": moment(1),
            "attrs": {"tag": "a"},
            "id": "id-1",
            "fields": {"level": "error"},
        },
        "container": {"id": ID, "name": "shop-web-1", "image": "web:1", "labels": {"team": "shop"}},
    }


def test_letters_of_several_threads_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path)
    threads = [threading.Thread(target=put, args=(letters, str(number) * 5000)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / FILE_NAME).read_bytes().splitlines()
    assert sorted(json.loads(line)["event"]["log"][0] for line in lines) == list("01234567")


def test_nobody_else_may_read_letters(tmp_path: Path) -> None:
    put(DeadLetters(tmp_path))
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_letter_that_cannot_be_written_is_said_and_waited_for_until_given_up(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "missing")
    abandon = threading.Event()
    thread = threading.Thread(target=put, args=(letters, "text", abandon))
    thread.start()
    until(lambda: letters.error)
    assert "cannot be written (No such file or directory)" in letters.error
    assert thread.is_alive()
    abandon.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize("mended", [True, False])
def test_the_error_is_over_when_the_letter_is_written_or_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, mended: bool
) -> None:
    monkeypatch.setattr(deadletters, "_RETRY_SECONDS", 0.01)
    letters = DeadLetters(tmp_path / "late")
    abandon = threading.Event()
    thread = threading.Thread(target=put, args=(letters, "text", abandon))
    thread.start()
    until(lambda: letters.error)
    if mended:
        letters.path.parent.mkdir()
    else:
        abandon.set()
    thread.join(PATIENCE_SECONDS)
    assert not letters.error
    assert letters.path.exists() is mended


_LIMITED = """
import resource, sys
from pathlib import Path

import pytest
from log_forwarder.deadletters import append
path = Path(sys.argv[1])
append(path, b"first\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    append(path, b"second which is longer\\n")
except OSError as error:
    print(error.errno)
"""


def test_a_disk_that_fills_up_in_the_middle_of_a_letter_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(path)], check=True, capture_output=True, cwd=Path.cwd()
    )
    assert int(done.stdout) in (errno.ENOSPC, errno.EFBIG)
    assert path.read_bytes() == b"first\n"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_descriptors_do_not_pile_up(tmp_path: Path) -> None:
    append(tmp_path / "x", b"warm up\n")
    before = descriptors(tmp_path)
    for _ in range(50):
        append(tmp_path / "x", b"line\n")
    assert descriptors(tmp_path) == before


def test_a_letter_behind_a_torn_one_can_be_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b'{"at":"2026-01-02T03:0')
    put(DeadLetters(tmp_path))
    assert json.loads((tmp_path / FILE_NAME).read_bytes().splitlines()[-1])["reason"] == "mapping conflict"


def test_at_the_limit_delivery_waits_until_the_file_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadletters, "_RETRY_SECONDS", 0.01)
    letters = DeadLetters(tmp_path, 500)
    put(letters)
    before = letters.path.read_bytes()
    thread = threading.Thread(target=put, args=(letters, "x" * 500))
    thread.start()
    until(lambda: letters.error)
    assert letters.error == (
        f"the dead letters in {letters.path} have reached their limit of 500 B, delivery waits: raise "
        "logs.dead-letters.size, or send them again with 'compose-agent logs replay', or move the file away"
    )
    assert letters.path.read_bytes() == before
    letters.path.rename(tmp_path / "elsewhere")
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert letters.error == ""
    # A letter that is larger than the limit has a file of its own.
    assert letters.path.stat().st_size > 500


def test_a_limit_that_is_raised_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadletters, "_RETRY_SECONDS", 0.01)
    letters = DeadLetters(tmp_path, 500)
    put(letters)
    thread = threading.Thread(target=put, args=(letters, "x" * 500))
    thread.start()
    until(lambda: letters.error)
    letters.limit = 10_000
    thread.join(PATIENCE_SECONDS)
    assert len(letters.path.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(("limit", "taken"), [(11, True), (10, False), (0, False), (None, True)])
def test_the_limit_counts_what_is_in_the_file(tmp_path: Path, limit: int | None, *, taken: bool) -> None:
    path = tmp_path / FILE_NAME
    assert append(path, b"first\n", limit)
    assert append(path, b"more\n", limit) is taken
    assert path.read_bytes() == (b"first\nmore\n" if taken else b"first\n")


class Tries(threading.Event):
    """Gives up after so many pauses."""

    left = 20

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        if not self.left:
            self.set()
        return super().wait(timeout)


def test_what_delivery_waits_for_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deadletters, "_RETRY_SECONDS", 0.001)
    letters = DeadLetters(tmp_path / "missing")
    put(letters, abandon=Tries())
    errors = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert errors == [f"the dead letters in {letters.path} cannot be written (No such file or directory)"]
