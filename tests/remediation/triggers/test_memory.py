from __future__ import annotations

from pathlib import Path

import pytest

from remediation.triggers.memory import FolderMemory, recall, remember
from remediation.triggers.watched import Watched, WatchState


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    memory = FolderMemory(tmp_path)
    assert recall(memory, "events", WatchState) is None
    state = WatchState(7, [(7, "id", "die")], {"id": Watched({"name": "web"}, died_ns=7)})
    assert remember(memory, "events", state)
    assert recall(memory, "events", WatchState) == state
    assert [each.name for each in tmp_path.iterdir()] == ["events.json"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"last_ns": "x"}', b"\xff"])
def test_what_cannot_be_read_counts_as_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "events.json").write_bytes(data)
    assert recall(FolderMemory(tmp_path), "events", WatchState) is None


def test_a_folder_that_is_gone_is_said_and_is_no_error(tmp_path: Path) -> None:
    memory = FolderMemory(tmp_path / "gone")
    assert not remember(memory, "events", WatchState())
    assert recall(memory, "events", WatchState) is None
