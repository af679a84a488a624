from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.errors import StateError
from fleet.agent.identity import Identity
from fleet.opamp.uid import new_uid


def test_a_uid_outlives_restarts(tmp_path: Path) -> None:
    uid = Identity(tmp_path).uid
    assert Identity(tmp_path).uid == uid


def test_the_first_engine_is_its_own(tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    uid = identity.uid
    assert not identity.bind("ENGINE")
    assert not Identity(tmp_path).bind("ENGINE")
    assert identity.uid == uid


def test_a_copy_of_a_host_takes_a_uid_of_its_own(tmp_path: Path) -> None:
    original = Identity(tmp_path / "a")
    original.bind("ENGINE")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "agent.json").write_bytes((tmp_path / "a" / "agent.json").read_bytes())
    copy = Identity(tmp_path / "b")
    assert copy.uid == original.uid
    assert copy.bind("ANOTHER")
    assert copy.uid != original.uid
    assert Identity(tmp_path / "b").uid == copy.uid


def test_an_engine_that_is_away_says_nothing(tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    identity.bind("ENGINE")
    uid = identity.uid
    assert not identity.bind("")
    assert identity.uid == uid


def test_a_uid_that_the_manager_gives_is_kept(tmp_path: Path) -> None:
    uid = new_uid()
    assert Identity(tmp_path).adopt(uid)
    assert Identity(tmp_path).uid == uid
    assert not Identity(tmp_path).adopt(b"short")


@pytest.mark.parametrize("content", [b"", b"{", b'{"uid": "no"}', b"[]"])
def test_a_damaged_file_gives_a_new_uid(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_bytes(content)
    assert Identity(tmp_path).uid == Identity(tmp_path).uid


def test_a_state_directory_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be written"):
        Identity(tmp_path / "file" / "state")
