from __future__ import annotations

import os
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from remediation.receiver.secretfile import SecretFile


def written(path: Path, text: str) -> Path:
    """Write a file anew, as a person or a secret store does: under another inode."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)
    return path


def test_every_line_is_a_secret(tmp_path: Path) -> None:
    path = written(tmp_path / "secrets", "  one \n\n# two\r\nthree")
    assert SecretFile(path).current() == (b"one", b"# two", b"three")


def test_what_changes_is_read_again(tmp_path: Path) -> None:
    file = SecretFile(written(tmp_path / "secrets", "one"))
    written(file.path, "one\ntwo")
    assert file.current() == (b"one", b"two")
    written(file.path, "two")
    assert file.current() == (b"two",)


@pytest.mark.parametrize("text", ["", "\n \n", "x" * 70_000, None])
def test_a_file_without_secrets_leaves_the_ones_before_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    file = SecretFile(written(tmp_path / "secrets", "one"))
    if text is None:
        file.path.unlink()
    else:
        written(file.path, text)
    assert [file.current() for _ in range(3)] == [(b"one",)] * 3
    assert [record.message for record in caplog.records] == [
        "secrets cannot be read, those before stay in force"
    ]
    written(file.path, "two")
    assert file.current() == (b"two",)


@pytest.mark.parametrize("text", ["", "\n", "x" * 70_000])
def test_it_does_not_begin_without_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        SecretFile(written(tmp_path / "secrets", text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing: cannot be read: No such file"):
        SecretFile(tmp_path / "missing")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        SecretFile(tmp_path)


def test_no_secret_is_in_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    file = SecretFile(written(tmp_path / "secrets", "s3cret-one"))
    written(file.path, "s3cret-two")
    os.utime(file.path, ns=(1, 1))
    file.current()
    assert caplog.records
    assert "s3cret" not in caplog.text + repr(file)
