from __future__ import annotations

from typing import Any

import pytest

from compose_agent.dockerd.verbs.compose.injected import LOOKED_AT, injected_files, likeliest_first
from tests.dockerd.verbs.compose.samples import replica

# Of a replica that was made at 10:00:00.25 and started at 10:00:01.5.
FILE = 0o444


def stat(mtime: str, mode: int = FILE) -> dict[str, Any]:
    return {"name": "x", "size": 1, "mode": mode, "mtime": mtime}


@pytest.mark.parametrize(
    ("found", "injected"),
    [
        (stat("2026-11-22T10:00:00Z"), True),
        (stat("2026-11-22T10:00:01Z"), True),
        (stat("2026-11-22T10:00:02Z"), True),
        (stat("2026-11-22T12:00:01+02:00"), True),
        (stat("2026-11-22T10:00:01.000000001Z"), False),
        (stat("2026-11-22T10:00:03Z"), False),
        (stat("2026-11-22T09:59:59Z"), False),
        (stat("2020-01-01T00:00:00Z"), False),
        (stat("2026-11-22T10:00:01Z", 0x80000000 | 0o755), False),
        (stat("2026-11-22T10:00:01Z", 0x08000000 | 0o777), False),
        (stat(""), False),
        (None, False),
    ],
)
def test_a_whole_second_before_the_start_gives_a_file_away(
    found: dict[str, Any] | None, injected: bool
) -> None:
    assert injected_files(replica(), ["/etc", "/etc/x"], lambda _: found) == (["/etc/x"] if injected else [])


def test_nothing_is_put_into_a_container_that_cannot_be_written_to() -> None:
    only_read = replica(host={"ReadonlyRootfs": True})
    assert injected_files(only_read, ["/x"], lambda _: stat("2026-11-22T10:00:01Z")) == []


def test_folders_of_what_has_changed_are_not_looked_at_and_secrets_come_first() -> None:
    changes = ["/var", "/var/log", "/var/log/x", "/a", "/run", "/run/secrets", "/run/secrets/s", "/etc/c"]
    assert likeliest_first(changes) == ["/run/secrets/s", "/a", "/etc/c", "/var/log/x"]


def test_too_many_files_cannot_be_told_unless_one_is_found() -> None:
    many = [f"/{number:04}" for number in range(LOOKED_AT + 1)]
    looked_at: list[str] = []

    def never(path: str) -> None:
        looked_at.append(path)

    assert injected_files(replica(), many, never) is None
    assert len(looked_at) == LOOKED_AT
    assert injected_files(replica(), many[:LOOKED_AT], never) == []
    found = injected_files(
        replica(), many, lambda path: stat("2026-11-22T10:00:01Z") if path == "/0000" else None
    )
    assert found == ["/0000"]
