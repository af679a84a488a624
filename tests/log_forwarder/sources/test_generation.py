from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import pytest

from log_forwarder.sources.generation import Generation
from tests.descriptors import descriptors
from tests.log_forwarder.making import packed

TEXT = b"".join(packed(f"{number}\n", number) for number in range(1000))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "x-json.log"
    path.write_bytes(TEXT)
    return path


@pytest.fixture
def compressed(tmp_path: Path) -> Path:
    path = tmp_path / "x-json.log.1.gz"
    path.write_bytes(gzip.compress(TEXT))
    return path


def test_a_file_is_read_by_offset(plain: Path) -> None:
    generation = Generation.open(plain)
    reader = generation.reader()
    assert reader.read(10, 20) == TEXT[10:30]
    assert reader.read(len(TEXT) - 5, 100) == TEXT[-5:]
    assert reader.read(len(TEXT), 100) == b""
    assert (generation.size, generation.inode) == (len(TEXT), plain.stat().st_ino)
    assert not generation.final
    assert generation.links() == 1
    generation.close()


def test_a_removed_file_is_read_to_its_end(plain: Path) -> None:
    generation = Generation.open(plain)
    plain.unlink()
    assert generation.links() == 0
    assert generation.reader().read(0, 10**6) == TEXT
    generation.close()


def test_a_file_that_grows_is_seen_to_its_new_end(plain: Path) -> None:
    generation = Generation.open(plain)
    with plain.open("ab") as file:
        file.write(b"more")
    assert generation.end() == len(TEXT) + 4
    assert generation.size == len(TEXT)
    generation.close()


def test_a_compressed_file_is_read_by_offsets_of_what_it_unpacks_to(compressed: Path) -> None:
    generation = Generation.open(compressed)
    assert generation.final
    assert generation.inherited
    reader, other = generation.reader(), generation.reader()
    assert reader.read(5000, 10) == TEXT[5000:5010]
    assert other.read(0, 10) == TEXT[:10]
    assert reader.read(0, 10) == TEXT[:10]
    assert reader.read(len(TEXT), 10) == b""
    assert reader.read(len(TEXT) + 1000, 10) == b""
    reader.close()
    other.close()
    generation.close()


@pytest.mark.parametrize("damage", ["cut", "no gzip", "bit"])
def test_a_damaged_compressed_file_is_an_os_error(compressed: Path, damage: str) -> None:
    data = bytearray(compressed.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "bit":
        data[len(data) // 2] ^= 0xFF
    else:
        data = bytearray(b"hello")
    compressed.write_bytes(data)
    generation = Generation.open(compressed)
    reader = generation.reader()
    with pytest.raises(OSError):  # noqa: PT011 - what it says differs
        reader.read(0, 10**7)
    reader.close()
    generation.close()


def test_a_closed_file_is_at_its_end_and_is_closed_once(plain: Path, tmp_path: Path) -> None:
    generation = Generation.open(plain)
    reader = generation.reader()
    before = descriptors(tmp_path)
    generation.close()
    generation.close()
    assert descriptors(tmp_path) == before - 1
    assert reader.read(0, 10) == b""
    assert generation.end() == len(TEXT)


def test_a_closed_file_can_still_be_asked(plain: Path) -> None:
    generation = Generation.open(plain)
    generation.close()
    assert generation.links() >= 0


def test_a_copy_of_the_end_of_a_file_keeps_its_offsets(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    path.write_bytes(TEXT[1000:])
    generation = Generation(os.open(path, os.O_RDONLY), start=1000, copy_of="name")
    assert (generation.name, generation.final, generation.size) == ("name", True, len(TEXT))
    assert generation.reader().read(1500, 10) == TEXT[1500:1510]
    assert generation.end() == len(TEXT)
    generation.close()


def test_a_file_is_copied_from_a_place_on(plain: Path, tmp_path: Path) -> None:
    generation = Generation.open(plain)
    target = os.open(tmp_path / "copy", os.O_WRONLY | os.O_CREAT)
    crc = generation.copy(target, 1000)
    os.close(target)
    generation.close()
    assert (tmp_path / "copy").read_bytes() == TEXT[1000:]
    assert crc == zlib.crc32(TEXT[1000:])


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Generation.open(tmp_path / "missing")
