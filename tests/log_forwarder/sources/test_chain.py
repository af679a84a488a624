from __future__ import annotations

import gzip
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_forwarder.sources.chain import Chain, chain_paths
from log_forwarder.sources.generation import Generation
from log_forwarder.sources.jsonfile import JsonFile
from log_forwarder.store import Store
from tests.descriptors import descriptors
from tests.log_forwarder.dockerlog import DockerLog
from tests.log_forwarder.making import ID, Names, packed

FORMAT = JsonFile()


def make(log: DockerLog) -> Chain:
    return Chain(log.path, FORMAT, Names())


def content(generation: Generation) -> bytes:
    reader = generation.reader()
    try:
        return reader.read(0, 10**7)
    finally:
        reader.close()


def everything(chain: Chain) -> list[str]:
    """Return the texts in all files, oldest first."""
    records = [FORMAT.decode(content(each), 0).records for each in chain.generations if not each.lost]
    return [record.log[:-1] for each in records for record in each]


@pytest.fixture
def log(tmp_path: Path) -> DockerLog:
    return DockerLog(tmp_path / "c")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["x"], ["x"]),
        ([], ["x"]),
        (["x", "x.1", "x.2", "x.10"], ["x.10", "x.2", "x.1", "x"]),
        (["x", "x.1", "x.1.gz", "x.2.gz"], ["x.2.gz", "x.1", "x"]),
        (["x", "x.1.gz.tmp", "x.tmp", "y.1", "x.1.bak", "x.1.gz", "xx.1"], ["x.1.gz", "x"]),
        (["x", "x.0", "x.01"], ["x.0", "x"]),
    ],
)
def test_files_are_listed_oldest_first(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    if "x.01" in names:
        (tmp_path / "x.01").unlink()
    assert [path.name for path in chain_paths(tmp_path / "x")] == expected


def test_what_is_there_is_opened_and_all_but_the_last_is_final(log: DockerLog) -> None:
    for text in "abc":
        log.line(text)
        log.rotate()
    log.line("d")
    chain = make(log)
    assert chain.look()
    assert everything(chain) == ["b", "c", "d"]
    assert [each.final for each in chain.generations] == [True, True, False]
    assert not chain.look()
    chain.close()


def test_growth_is_news_and_silence_is_none(log: DockerLog) -> None:
    chain = make(log)
    assert chain.look()
    assert not chain.look()
    version = chain.version
    log.line("a")
    assert chain.look()
    assert chain.version > version
    assert chain.generations[-1].size == log.path.stat().st_size
    assert not chain.look()
    chain.close()


def test_a_log_that_does_not_exist_yet_is_no_error(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "x-json.log", FORMAT, Names())
    assert not chain.look()
    (tmp_path / "x-json.log").write_bytes(packed("a\n", 1))
    assert chain.look()
    chain.close()


@pytest.mark.parametrize("max_file", [1, 2, 3, 5])
@pytest.mark.parametrize("compressed", [False, True])
def test_every_rotation_that_is_looked_at_is_kept_whatever_docker_removes(
    tmp_path: Path, max_file: int, compressed: bool
) -> None:
    log = DockerLog(tmp_path / "c", max_file=max_file, compressed=compressed and max_file > 1)
    chain = make(log)
    for number in range(12):
        log.line(str(number))
        chain.look()
        chain.identify(chain.generations[-1])
        log.rotate()
        assert chain.look()
    log.line("last")
    chain.look()
    assert everything(chain) == [*map(str, range(12)), "last"]
    assert chain.missed == 0
    chain.close()


@pytest.mark.parametrize("max_file", [2, 3, 5])
def test_several_rotations_between_two_looks_are_found_as_far_as_they_are_there(
    tmp_path: Path, max_file: int
) -> None:
    log = DockerLog(tmp_path / "c", max_file=max_file)
    log.line("first")
    chain = make(log)
    chain.look()
    for number in range(max_file - 1):
        log.rotate()
        log.line(str(number))
    assert chain.look()
    assert everything(chain) == ["first", *map(str, range(max_file - 1))]
    assert [each.final for each in chain.generations] == [True] * (max_file - 1) + [False]
    chain.close()


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_no_file_is_missed_when_docker_rotates_while_the_folder_is_opened(
    log: DockerLog, monkeypatch: pytest.MonkeyPatch, at: int, known: bool
) -> None:
    log.max_file = 4
    chain = make(log)
    for number in range(4):
        log.line(str(number))
        if number == 0 and known:
            chain.look()
        if number < 3:
            log.rotate()
    opened = 0
    real = Generation.open

    def open_(path: Path) -> Generation:
        nonlocal opened
        if opened == at:
            log.rotate()
            log.line("4")
        opened += 1
        return real(path)

    monkeypatch.setattr(Generation, "open", open_)
    chain.look()
    # The first one Docker has removed by now, unless it was known before.
    assert everything(chain) == ["0"] * known + ["1", "2", "3", "4"]
    chain.close()


def test_rotations_of_which_no_file_is_left_are_counted(tmp_path: Path) -> None:
    log = DockerLog(tmp_path / "c", max_file=2)
    log.line("first")
    chain = make(log)
    chain.look()
    for text in "abcd":
        log.rotate()
        chain.created()
        log.line(text)
    chain.look()
    assert everything(chain) == ["first", "c", "d"]
    assert chain.missed == 2
    chain.close()


def test_a_notice_of_a_file_that_is_known_already_is_no_gap(tmp_path: Path) -> None:
    log = DockerLog(tmp_path / "c", max_file=1)
    log.line("a")
    chain = make(log)
    chain.look()
    chain.created()
    chain.look()
    log.rotate()
    log.line("b")
    chain.created()
    chain.look()
    assert everything(chain) == ["a", "b"]
    assert chain.missed == 0
    chain.close()


def test_a_file_that_is_being_compressed_is_there_once(tmp_path: Path) -> None:
    log = DockerLog(tmp_path / "c", compressed=True)
    chain = make(log)
    log.line("a")
    chain.look()
    log.rotate(finish=False)
    log.line("b")
    chain.look()
    chain.identify(chain.generations[-1])
    (log.path.with_name(log.path.name + ".1.gz")).write_bytes(b"\x1f\x8b half")
    chain.look()
    log.compress()
    chain.look()
    log.finish()
    chain.look()
    log.rotate()
    log.line("c")
    chain.look()
    assert everything(chain) == ["a", "b", "c"]
    chain.close()


def test_a_file_that_was_compressed_at_once_is_known_by_its_first_record(tmp_path: Path) -> None:
    log = DockerLog(tmp_path / "c", compressed=True)
    log.line("a")
    chain = make(log)
    chain.look()
    chain.identify(chain.generations[-1])
    log.rotate()
    log.line("b")
    chain.look()
    assert everything(chain) == ["a", "b"]
    chain.close()


def test_a_file_that_was_compressed_before_anybody_read_it_is_there_once(tmp_path: Path) -> None:
    log = DockerLog(tmp_path / "c", compressed=True)
    log.line("a")
    chain = make(log)
    chain.look()
    log.rotate()
    log.line("b")
    chain.look()
    assert everything(chain) == ["a", "b"]
    chain.close()


def test_a_file_that_was_compressed_at_once_is_known_also_behind_an_older_one(tmp_path: Path) -> None:
    log = DockerLog(tmp_path / "c", compressed=True, max_file=5)
    for text in "ab":
        log.line(text)
        log.rotate()
    log.line("c")
    chain = make(log)
    chain.look()
    for each in chain.generations:
        chain.identify(each)
    log.rotate()
    log.line("d")
    chain.look()
    assert everything(chain) == ["a", "b", "c", "d"]
    chain.close()


def test_a_truncated_file_is_a_new_generation_and_the_old_one_is_lost(log: DockerLog) -> None:
    log.line("a" * 100)
    chain = make(log)
    chain.look()
    first = chain.identify(chain.generations[-1])
    log.truncate()
    log.line("b")
    assert chain.look()
    assert everything(chain) == ["b"]
    assert chain.cuts == 1
    assert [each.lost for each in chain.generations] == [True, False]
    assert chain.identify(chain.generations[-1]) != first
    log.line("c")
    log.rotate()
    log.line("d")
    chain.look()
    assert everything(chain) == ["b", "c", "d"]
    chain.close()


def test_a_removed_folder_leaves_what_is_open(log: DockerLog) -> None:
    log.line("a")
    log.rotate()
    log.line("b")
    chain = make(log)
    chain.look()
    log.line("c")
    log.remove()
    assert not chain.look()
    chain.gone()
    assert chain.removed
    assert all(each.final for each in chain.generations)
    assert everything(chain) == ["a", "b", "c"]
    chain.close()


def test_names_need_a_whole_first_record(log: DockerLog) -> None:
    chain = make(log)
    chain.look()
    assert chain.identify(chain.generations[0]) == ""
    log.append(packed("a\n", 1)[:-1])
    assert chain.identify(chain.generations[0]) == ""
    log.append(b"\n")
    name = chain.identify(chain.generations[0])
    assert name
    log.line("b")
    assert chain.identify(chain.generations[0]) == name
    chain.close()


def test_a_file_without_any_record_gets_a_name_by_its_first_block(log: DockerLog) -> None:
    log.append(b"\0" * 1024 * 1024)
    chain = make(log)
    chain.look()
    assert chain.identify(chain.generations[0])
    chain.close()


def test_what_nobody_needs_is_closed(log: DockerLog, tmp_path: Path) -> None:
    chain = make(log)
    for text in "abc":
        log.line(text)
        chain.look()
        log.rotate()
        chain.look()
    needed = chain.generations[2]
    before = descriptors(tmp_path)
    chain.release(needed)
    assert descriptors(tmp_path) == before - 2
    assert chain.generations[0] is needed
    chain.close()
    assert chain.generations == ()


def test_looking_leaks_no_descriptor(tmp_path: Path) -> None:
    log = DockerLog(tmp_path / "c", max_file=3, compressed=True)
    before = descriptors(tmp_path)
    chain = make(log)
    for number in range(10):
        log.line(str(number))
        chain.look()
        chain.identify(chain.generations[-1])
        log.rotate()
        chain.look()
        chain.release(chain.generations[-1])
    chain.close()
    assert descriptors(tmp_path) == before


def test_a_file_that_cannot_be_opened_leaks_no_descriptor(log: DockerLog, tmp_path: Path) -> None:
    for text in "ab":
        log.line(text)
        log.rotate()
    one = log.path.with_name(log.path.name + ".1")
    one.unlink()
    one.symlink_to(one)
    chain = make(log)
    before = descriptors(tmp_path)
    for _ in range(3):
        with pytest.raises(OSError, match="symbolic links"):
            chain.look()
    assert descriptors(tmp_path) == before
    chain.close()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("rotations", [0, 1, 2])
def test_a_second_run_calls_every_file_what_the_first_one_called_it(
    tmp_path: Path, compressed: bool, rotations: int
) -> None:
    log = DockerLog(tmp_path / "c", max_file=5)
    for text in "ab":
        log.line(text)
        log.rotate()
    log.line("c")
    store = Store(tmp_path / "state")
    first = named(log, store)
    with inodes_in_use(log):
        if compressed:
            compress_all(log)
            log.compressed = True
        for number in range(rotations):
            log.rotate()
            log.line(str(number))
        store.close()
        store = Store(tmp_path / "state")
        second = named(log, store)
    store.close()
    assert {text: second[text] for text in first} == first
    assert len(set(second.values())) == len(second) == 3 + rotations


@contextmanager
def inodes_in_use(log: DockerLog) -> Iterator[None]:
    """Keep the file system from giving the inodes of these files to others."""
    with ExitStack() as stack:
        for path in chain_paths(log.path):
            stack.enter_context(path.open("rb"))
        yield


def named(log: DockerLog, store: Store) -> dict[str, str]:
    """Return the name of each file by its first text."""
    chain = Chain(log.path, FORMAT, store.names(ID))
    chain.look()
    found = {FORMAT.decode(content(each), 0).records[0].log[:-1]: each for each in chain.generations}
    names = {text: chain.identify(each) for text, each in found.items()}
    chain.close()
    return names


def compress_all(log: DockerLog) -> None:
    for path in chain_paths(log.path)[:-1]:
        if path.suffix != ".gz":
            Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()


def test_files_with_the_same_first_record_have_names_of_their_own(tmp_path: Path) -> None:
    log = DockerLog(tmp_path / "c", max_file=4)
    same = packed("same\n", 1)
    store = Store(tmp_path / "state")
    for _ in range(3):
        log.append(same)
        log.rotate()
    log.append(same)
    before = names_in_order(log, store)
    assert len(set(before)) == 4
    with inodes_in_use(log):
        log.rotate()
        log.append(same)
        after = names_in_order(log, store)
    store.close()
    assert after[:-1] == before[1:]
    assert after[-1] not in before[1:]


def names_in_order(log: DockerLog, store: Store) -> list[str]:
    chain = Chain(log.path, FORMAT, store.names(ID))
    chain.look()
    names = [chain.identify(each) for each in chain.generations]
    chain.close()
    return names


def test_a_reused_inode_is_not_the_file_that_had_it(tmp_path: Path) -> None:
    shared = Path("/dev/shm")  # tmpfs gives inodes again at once on some kernels
    folder = shared if shared.is_dir() else tmp_path
    log = DockerLog(folder / f"chain-{os.getpid()}", max_file=1)
    chain = make(log)
    try:
        for number in range(30):
            log.line(str(number))
            chain.look()
            log.rotate()
            chain.look()
            chain.release(chain.generations[-1])
        log.line("last")
        chain.look()
        assert everything(chain) == ["last"]
        assert len({chain.identify(each) for each in chain.generations}) == 1
    finally:
        chain.close()
        log.remove()


def test_a_part_of_a_file_may_be_cut_off_and_gets_a_place_of_its_own(log: DockerLog) -> None:
    for text in ("aaaa", "bbbb", "cccc"):
        log.line(text)
    chain = make(log)
    chain.look()
    chain.identify(chain.generations[-1])
    log.truncate(len(packed("aaaa\n", 1)))
    chain.look()
    assert everything(chain) == ["aaaa"]
    assert chain.cuts == 1
    chain.close()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    max_file=st.sampled_from([2, 3, 5]),
    compressed=st.booleans(),
    identified=st.just(True),
)
def test_any_schedule_that_looks_before_files_fall_off_sees_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int, max_file: int, compressed: bool, identified: bool
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a schedule
    log = DockerLog(tmp_path_factory.mktemp("c"), max_file=max_file, compressed=compressed)
    chain = make(log)
    chain.look()
    written: list[str] = []
    since_look = 0
    for number in range(60):
        match dice.choice(["write", "write", "write", "rotate", "look", "finish"]):
            case "write":
                log.line(str(number))
                written.append(str(number))
            case "rotate" if since_look < max_file - 1 and log.path.stat().st_size:
                if identified:
                    chain.look()
                    for each in chain.generations:
                        chain.identify(each)
                log.rotate(finish=dice.random() < 0.5)
                since_look += 1
            case "finish":
                log.compress()
                log.finish()
            case "look":
                chain.look()
                since_look = 0
    chain.look()
    assert everything(chain) == written
    chain.close()
