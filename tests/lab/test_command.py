from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import LabError
from lab.command import run


def test_it_runs_in_a_folder_with_more_in_its_environment(tmp_path: Path) -> None:
    run(["sh", "-c", 'echo "$WORD $HOME" >said'], timeout=10, cwd=tmp_path, environment={"WORD": "yes"})
    assert re.fullmatch("yes /.*\n", (tmp_path / "said").read_text())


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo one; echo two >&2; exit 3", "two"),
        ("echo one; exit 3", "one"),
        ("seq 9 >&2; exit 1", "7 8 9"),
    ],
)
def test_one_that_fails_has_the_last_word(script: str, said: str) -> None:
    with pytest.raises(LabError, match=f"failed: {said}$"):
        run(["sh", "-c", script], timeout=10)


def test_one_that_takes_too_long_is_ended() -> None:
    with pytest.raises(LabError, match=r"sleep could not be run: .* timed out after 0.1 seconds"):
        run(["sleep", "60"], timeout=0.1)


def test_of_one_that_is_not_there_a_person_is_told_what_to_do() -> None:
    with pytest.raises(LabError, match="no-such-program could not be run") as caught:
        run(["no-such-program"], timeout=10, remedy="install it")
    assert caught.value.remedy == "install it"
