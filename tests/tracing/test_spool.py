"""The spool over a real folder: limits, damage, kills, and the account that must hold at any moment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from compose_agent.tracing import holding
from compose_agent.tracing import spool as spools
from compose_agent.tracing.holding import Limits
from compose_agent.tracing.ledger import Account
from compose_agent.tracing.reading import account_of
from compose_agent.tracing.records import ERROR, Span
from compose_agent.tracing.spool import Spool
from tests.descriptors import descriptors

RESOURCE = {"service.name": "test"}
TRACE = bytes(15) + b"\x01"


def span(number: int, *, end: int = 2, text: str = "") -> Span:
    return Span(trace=TRACE, span=number.to_bytes(8), name=f"n{number}", start=1, end=end, message=text)


def opened(folder: Path, *, exporting: bool = True, limits: Limits | None = None) -> Spool:
    return Spool(folder, RESOURCE, limits, exporting=exporting)


def killed(spool: Spool) -> None:
    """Let go of a spool as the kernel does for a process that is killed."""
    spool.abandon()


def drained(spool: Spool, most: int = 10) -> Iterator[str]:
    while batch := spool.batch(most):
        yield from (each.name for each in batch.spans)
        spool.settle(batch)


def adds_up(account: Account) -> bool:
    return account.created == account.exported + account.spooled + sum(account.dropped.values())


def test_spans_come_out_in_their_order_and_are_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    for number in range(25):
        assert spool.append([span(number)])
    assert spool.account() == Account(created=25, spooled=25)
    assert list(drained(spool)) == [f"n{number}" for number in range(25)]
    assert spool.account() == Account(created=25, exported=25)
    assert spool.batch(10) is None


def test_a_batch_that_is_not_settled_comes_again(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append([span(1)])
    first, again = spool.batch(10), spool.batch(10)
    assert first == again
    assert first is not None


def test_after_a_kill_the_next_process_goes_on_exactly_there(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    for number in range(20):
        spool.append([span(number)])
    batch = spool.batch(7)
    assert batch is not None
    spool.settle(batch)
    before = spool.account()
    killed(spool)
    assert account_of(tmp_path / "s") == before
    spool = opened(tmp_path / "s")
    assert spool.account() == before
    spool.append([span(20)])
    assert list(drained(spool)) == [f"n{number}" for number in range(7, 21)]
    assert spool.account() == Account(created=21, exported=21)


def test_a_torn_frame_at_the_end_was_never_there(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append([span(1)])
    killed(spool)
    (segment,) = (tmp_path / "s").glob("*.spans")
    whole = segment.read_bytes()
    for torn in (whole[:-1], whole[:-20], whole + b"\x00\x00\x00\x10half", whole + os.urandom(300)):
        segment.write_bytes(torn)
        spool = opened(tmp_path / "s")
        assert adds_up(spool.account())
        assert list(drained(spool)) == (["n1"] if torn.startswith(whole) else [])
        killed(spool)
        for each in (tmp_path / "s").iterdir():
            each.unlink()


def test_a_span_that_a_kill_cuts_off_is_ended_by_the_next_start(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append([span(2)], begun=[span(1, end=0), span(3, end=0)])
    spool.append([span(3)])
    killed(spool)
    spool = opened(tmp_path / "s")
    batch = spool.batch(10)
    assert batch is not None
    assert [each.name for each in batch.spans] == ["n2", "n3"]
    spool.settle(batch)
    batch = spool.batch(10)
    assert batch is not None
    (cut,) = batch.spans
    assert (cut.name, cut.status, cut.attributes) == ("n1", ERROR, {"error.type": "interrupted"})
    assert cut.end > cut.start
    killed(spool)
    spool = opened(tmp_path / "s")
    assert list(drained(spool)) == ["n1"]  # it was not settled; and it is not ended a second time
    assert spool.account() == Account(created=3, exported=3)


def test_processes_that_had_nothing_to_say_are_no_obstacle(tmp_path: Path) -> None:
    for number in range(3):
        spool = opened(tmp_path / "s")
        spool.append([span(number)])
        killed(spool)
        for _ in range(3):
            killed(opened(tmp_path / "s"))
    spool = opened(tmp_path / "s")
    spool.append([], marks={"audit": 1})
    assert list(drained(spool)) == ["n0", "n1", "n2"]
    assert spool.batch(10) is None


def test_what_is_open_and_marks_outlive_the_segments_they_stood_in(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", limits=Limits(size=40_000, keep=0))
    spool.append([], begun=[span(9999, end=0)], marks={"audit": 7})
    for number in range(400):
        spool.append([span(number, text="x" * 200)])
        list(drained(spool))
    killed(spool)
    spool = opened(tmp_path / "s")
    assert spool.mark("audit") == 7
    assert list(drained(spool)) == ["n9999"]
    assert spool.account() == Account(created=401, exported=401)


@pytest.mark.parametrize(("exporting", "reason"), [(True, holding.FULL), (False, holding.ROTATED)])
def test_beyond_its_size_the_oldest_make_room_and_are_counted(
    tmp_path: Path, reason: str, *, exporting: bool
) -> None:
    limits = Limits(size=64_000, keep=0)
    spool = opened(tmp_path / "s", exporting=exporting, limits=limits)
    for number in range(1000):
        spool.append([span(number, text="x" * 200)])
        if number % 100 == 0:
            assert adds_up(spool.account())
    account = spool.account()
    assert account.dropped.keys() == {reason}
    assert adds_up(account)
    assert (
        sum(each.stat().st_size for each in (tmp_path / "s").glob("*.spans")) <= limits.size + limits.segment
    )
    names = list(drained(spool))
    assert names[-1] == "n999"
    assert len(names) == account.spooled


def test_a_batch_that_had_to_make_room_while_it_was_sent_counts_once(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", limits=Limits(size=32_000, keep=0))
    for number in range(10):
        spool.append([span(number, text="x" * 200)])
    batch = spool.batch(10)
    assert batch is not None
    for number in range(500):
        spool.append([span(number, text="x" * 200)])
    spool.settle(batch)
    assert adds_up(spool.account())
    assert spool.account().exported == 0


def test_some_of_what_the_collector_has_stays_for_people(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", limits=Limits(size=320_000, keep=50_000))
    for number in range(600):
        spool.append([span(number, text="x" * 400)])
        list(drained(spool))
    size = sum(each.stat().st_size for each in (tmp_path / "s").glob("*.spans"))
    assert 30_000 < size < 80_000
    assert spool.account() == Account(created=600, exported=600)


def test_damage_within_a_segment_costs_its_rest_which_is_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", limits=Limits(size=320_000, keep=0))
    for number in range(200):
        spool.append([span(number, text="x" * 200)])
    killed(spool)
    second = sorted((tmp_path / "s").glob("*.spans"))[1]
    data = bytearray(second.read_bytes())
    data[len(data) // 2] ^= 0xFF
    second.write_bytes(data)
    spool = opened(tmp_path / "s")
    names = list(drained(spool))
    account = spool.account()
    assert names[-1] == "n199"
    assert account.dropped == {holding.DAMAGED: 200 - len(names)}
    assert adds_up(account)
    assert len(names) < 200


def test_files_that_somebody_has_removed_are_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", limits=Limits(size=320_000, keep=0))
    for number in range(200):
        spool.append([span(number, text="x" * 200)])
    killed(spool)
    min((tmp_path / "s").glob("*.spans")).unlink()
    spool = opened(tmp_path / "s")
    left = len(list(drained(spool)))
    assert spool.account() == Account(created=200, exported=left, dropped={holding.DAMAGED: 200 - left})


def test_garbage_beside_the_segments_is_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "000000000007.spans").write_bytes(os.urandom(1000))
    (folder / "000000000008.spans").write_bytes(b"")
    (folder / "ledger").write_bytes(os.urandom(5000))
    (folder / "notes.txt").write_text("mine")
    spool = opened(folder)
    spool.append([span(1)])
    assert list(drained(spool)) == ["n1"]
    assert (folder / "notes.txt").exists()


def test_a_folder_that_cannot_be_written_costs_spans_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s").write_text("a file, not a folder")
    spool = opened(tmp_path / "s")
    assert not spool.append([span(1), span(2)])
    assert not spool.append([span(3)], again=True)
    assert spool.account() == Account(created=2, dropped={spools.UNWRITABLE: 2})
    assert "cannot be kept" in spool.error
    (tmp_path / "s").unlink()
    monkeypatch.setattr(spools, "_RETRY_SECONDS", 0.0)
    spool._retry_at = 0.0
    assert spool.append([span(4)])
    assert (spool.error, spool.account()) == (
        "",
        Account(created=3, spooled=1, dropped={spools.UNWRITABLE: 2}),
    )
    spool.sync()
    killed(spool)
    assert account_of(tmp_path / "s") == Account(created=3, spooled=1, dropped={spools.UNWRITABLE: 2})


def test_a_full_disk_leaves_no_half_frame(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    assert os.system(f"mount -t tmpfs -o size=64k tmpfs {folder}") == 0  # noqa: S605
    try:
        spool = opened(folder / "s")
        taken = [spool.append([span(number, text="x" * 1000)]) for number in range(200)]
        assert not all(taken)
        account = spool.account()
        assert adds_up(account)
        assert account.spooled == sum(taken)
        assert len(list(drained(spool))) == sum(taken)
        assert adds_up(spool.account())
        spool.close()
        assert adds_up(account_of(folder / "s"))
    finally:
        assert os.system(f"umount {folder}") == 0  # noqa: S605


def test_a_disk_that_is_full_at_the_start_is_used_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is held by the attempts that failed: no lock, no descriptor."""
    monkeypatch.setattr(spools, "_RETRY_SECONDS", 0.0)
    folder = tmp_path / "full"
    folder.mkdir()
    assert os.system(f"mount -t tmpfs -o size=64k tmpfs {folder}") == 0  # noqa: S605
    try:
        killed(opened(folder / "s"))
        with suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 1024)
        spool = opened(folder / "s")
        assert spool.error
        before = descriptors(tmp_path)
        assert not any(spool.append([span(1)]) for _ in range(5))
        assert descriptors(tmp_path) == before
        (folder / "filler").unlink()
        assert spool.append([span(2)])
        spool.close()
    finally:
        assert os.system(f"umount {folder}") == 0  # noqa: S605


def test_what_has_no_form_is_dropped_and_its_marks_are_kept(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    assert spool.append([span(1, text="\ud800")], marks={"audit": 3})
    assert spool.append([span(2, text="x" * (2 << 20))], marks={"audit": 4})
    assert spool.mark("audit") == 4
    assert spool.account() == Account(created=2, dropped={spools.INVALID: 1, spools.TOO_LARGE: 1})


def test_two_processes_do_not_share_a_spool(tmp_path: Path) -> None:
    first = opened(tmp_path / "s")
    second = opened(tmp_path / "s")
    assert "another process has it" in second.error
    assert not second.append([span(1)])
    first.close()
    shutil.rmtree(tmp_path / "s")


def test_nobody_else_may_look_into_what_is_made(tmp_path: Path) -> None:
    spool = opened(tmp_path / "state" / "traces" / "s")
    spool.append([span(1)])
    for each in ("state", "state/traces", "state/traces/s"):
        assert (tmp_path / each).stat().st_mode & 0o777 == 0o700
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in (tmp_path / "state/traces/s").iterdir())
