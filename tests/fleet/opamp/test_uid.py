from __future__ import annotations

import uuid

import pytest

from fleet.opamp.uid import is_uid, new_uid, parse_uid, uid_text


def test_a_uid_is_a_uuid_of_version_7_with_its_time() -> None:
    found = uuid.UUID(bytes=new_uid(now=1_700_000_000.25))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == 1_700_000_000_250


def test_uids_sort_by_time_and_differ() -> None:
    assert new_uid(1.0) < new_uid(2.0)
    assert len({new_uid(1.0) for _ in range(1000)}) == 1000


def test_text_and_back() -> None:
    uid = new_uid()
    assert parse_uid(uid_text(uid)) == uid


@pytest.mark.parametrize(
    ("data", "is_one"), [(b"", False), (b"u" * 15, False), (bytes(16), False), (b"u" * 16, True)]
)
def test_what_can_be_a_uid(data: bytes, is_one: bool) -> None:
    assert is_uid(data) is is_one
