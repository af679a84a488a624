from __future__ import annotations

import gzip
import json
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from bench.dockerfolder import config, host_config, identity
from bench.dockerlogs import Writer, main, parse_size, shares
from bench.jsonfile_driver import JsonFileLog, Rotation, compress_file, escape, head, pieces, time_text
from bench.numbered import is_long, parse, stream_of, text_of
from lab.engine import PrivateEngine

STAMP = "2026-01-02T03:04:05.5Z"
SECONDS = 30.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ('a"b\\c', 'a\\"b\\\\c'),
        ("a\nb\rc", "a\\nb\\rc"),
        ("\t\b\f\x00\x1f\x7f", "\\u0009\\u0008\\u000c\\u0000\\u001f\x7f"),
        ("<&>", "\\u003c\\u0026\\u003e"),
        ("\u2028\u2029é🐳", "\\u2028\\u2029é🐳"),
    ],
)
def test_text_is_escaped_as_the_driver_does(text: str, expected: str) -> None:
    assert escape(text) == expected
    assert json.loads(f'"{expected}"') == text


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "T00:00:00Z"),
        (500_000_000, "T00:00:00.5Z"),
        (1, "T00:00:00.000000001Z"),
        (120_300_000, "T00:00:00.1203Z"),
    ],
)
def test_a_time_has_no_zeros_at_its_end(nanoseconds: int, expected: str) -> None:
    assert time_text("T00:00:00", nanoseconds) == expected


@pytest.mark.parametrize(
    ("length", "lengths"),
    [
        (0, [1]),
        (16_383, [16_384]),
        (16_384, [16_384, 1]),
        (16_385, [16_384, 2]),
        (40_000, [16_384, 16_384, 7_233]),
    ],
)
def test_long_lines_are_cut_at_full_buffers(length: int, lengths: list[int]) -> None:
    cut = pieces("x" * length)
    assert [len(piece) for piece in cut] == lengths
    assert "".join(cut) == "x" * length + "\n"


def record(number: int, size: int = 100) -> bytes:
    return f"{number:0{size - 1}d}\n".encode()


def chain(path: Path) -> dict[str, bytes]:
    return {each.name.removeprefix("x"): each.read_bytes() for each in path.parent.iterdir()}


def write(path: Path, rotation: Rotation, count: int) -> JsonFileLog:
    log = JsonFileLog(path, rotation)
    log.write([record(number) for number in range(count)], STAMP)
    log.close()
    return log


def test_a_file_is_rotated_before_the_write_that_finds_it_full(tmp_path: Path) -> None:
    log = write(tmp_path / "x", Rotation(250, 3), 3)
    assert chain(log.path) == {"": record(0) + record(1) + record(2)}
    log = write(tmp_path / "x", Rotation(250, 3), 1)
    assert chain(log.path)[".1"] == record(0) + record(1) + record(2)


def test_as_many_files_are_kept_as_asked_for(tmp_path: Path) -> None:
    log = write(tmp_path / "x", Rotation(100, 3), 5)
    assert chain(log.path) == {"": record(4), ".1": record(3), ".2": record(2)}
    assert log.rotations == 4


def test_with_one_file_what_is_full_is_removed_and_a_reader_keeps_it(tmp_path: Path) -> None:
    log = JsonFileLog(tmp_path / "x", Rotation(100, 1))
    log.write([record(0)], STAMP)
    reader = log.path.open("rb")
    log.write([record(1)], STAMP)
    log.close()
    assert chain(log.path) == {"": record(1)}
    assert reader.read() == record(0)
    reader.close()


def test_rotated_files_are_compressed_with_the_last_time_in_the_header(tmp_path: Path) -> None:
    log = write(tmp_path / "x", Rotation(100, 3, compress=True), 5)
    found = chain(log.path)
    assert {name: gzip.decompress(data) for name, data in found.items() if name} == {
        ".1.gz": record(3),
        ".2.gz": record(2),
    }
    (length,) = struct.unpack_from("<H", found[".1.gz"], 10)
    assert json.loads(found[".1.gz"][12 : 12 + length]) == {"lastTime": STAMP}


def test_while_a_file_is_compressed_both_are_there(tmp_path: Path) -> None:
    plain = tmp_path / "x.1"
    plain.write_bytes(record(1) * 1000)
    with pytest.MonkeyPatch.context() as patch:
        seen: list[set[str]] = []
        patch.setattr(Path, "unlink", lambda self: seen.append({each.name for each in self.parent.iterdir()}))
        compress_file(plain, STAMP)
    assert seen == [{"x.1", "x.1.gz"}]


def test_the_numbers_of_a_container_are_all_there_once(tmp_path: Path) -> None:
    writer = Writer(tmp_path, Rotation(), shares(4, even=False), long_every=20)
    writer.backlog(1000)
    assert [each.lines for each in writer.written()] == [500, 250, 126, 126]  # long lines come in pairs
    for source in writer.sources:
        short = source.who.id[:12]
        open_lines = {"stdout": "", "stderr": ""}
        lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        for each in map(json.loads, source.log.path.read_bytes().splitlines()):
            open_lines[each["stream"]] += each["log"]
            if each["log"].endswith("\n"):
                lines[each["stream"]].append(open_lines[each["stream"]].removesuffix("\n"))
                open_lines[each["stream"]] = ""
        for stream, found in lines.items():
            numbers = [number for number in range(source.lines) if stream_of(number) == stream]
            assert found == [text_of(short, number, 20) for number in numbers]


def test_pieces_of_long_lines_of_both_streams_are_interleaved(tmp_path: Path) -> None:
    writer = Writer(tmp_path, Rotation(), [1.0], long_every=10)
    writer.backlog(10)
    records = [json.loads(line) for line in writer.sources[0].log.path.read_bytes().splitlines()]
    streams = "".join(each["stream"][3] for each in records if len(each["log"]) > 1000)
    assert "eoe" in streams
    assert len({each["time"] for each in records[4:-4]}) == 1


def test_times_go_forward(tmp_path: Path) -> None:
    writer = Writer(tmp_path, Rotation(), [1.0])
    writer.backlog(5000)
    times = [
        json.loads(line)["time"][:-1].ljust(29, "0")
        for line in writer.sources[0].log.path.read_bytes().splitlines()
    ]
    assert times == sorted(times)


def test_a_rate_is_kept(tmp_path: Path) -> None:
    writer = Writer(tmp_path, Rotation(), [0.5, 0.5])
    started = time.monotonic()
    writer.run(501, 1000)
    assert 0.45 < time.monotonic() - started < 5
    assert writer.total() == 501


@pytest.mark.parametrize(
    ("containers", "even", "expected"),
    [(1, False, [1.0]), (4, False, [0.5, 0.25, 0.125, 0.125]), (2, True, [0.5, 0.5])],
)
def test_shares(containers: int, even: bool, expected: list[float]) -> None:
    assert shares(containers, even=even) == expected


def test_the_program_prints_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--root", str(tmp_path), "--lines", "300", "--backlog", "--containers", "2", "--max-size", "10k"])
    said = json.loads(capsys.readouterr().out)
    assert sum(each["lines"] for each in said["containers"]) == 300
    for each in said["containers"]:
        folder = tmp_path / "containers" / each["id"]
        known = json.loads((folder / "config.v2.json").read_text())
        assert known["Name"] == f"/{each['name']}"
        assert known["LogPath"] == str(folder / f"{each['id']}-json.log")


@pytest.mark.parametrize(("text", "expected"), [("10m", 10 << 20), ("1k", 1024), ("7", 7), ("2GB", 2 << 30)])
def test_sizes_are_docker_s(text: str, expected: int) -> None:
    assert parse_size(text) == expected


def test_every_tenth_line_is_special_on_both_streams_and_every_line_says_who_it_is() -> None:
    special = [number for number in range(1000) if "🐳" in text_of("a" * 12, number)]
    assert len(special) == 100
    assert {stream_of(number) for number in special} == {"stdout", "stderr"}
    assert all(parse(text_of("a" * 12, number, 50)) == ("a" * 12, number) for number in range(100))
    assert sum(is_long(number, 50) for number in range(1000)) == 40


# -- beside a real Engine

_SPOKEN = (
    'plain "quoted" back\\slash <a&b> tab\there Grüße 世界 🐳 del\x7f bell\x07 sep\u2028par\u2029end',
    "",
    "x" * 16_384,
    "y" * 40_000,
)


def _until(done: Iterator[bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not next(done):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _without_times(raw: bytes) -> bytes:
    return re.sub(rb'"time":"[^"]*"', b'"time":""', raw)


def _spoken(client: docker.DockerClient, image: str, script: str, options: dict[str, str]) -> str:
    """Run a script to its end and return the container's id."""
    container = client.containers.run(
        image, ["sh", "-c", script], detach=True, log_config={"type": "json-file", "config": options}
    )
    container.wait(timeout=SECONDS)
    return str(container.id)


@pytest.mark.engine
def test_records_are_those_of_a_real_engine(
    engine: PrivateEngine, docker_client: docker.DockerClient, busybox: str
) -> None:
    script = "cat <<'END'\n" + "\n".join(_SPOKEN) + "\nEND\necho -n last >&2"
    name = _spoken(docker_client, busybox, script, {})
    real = (engine.root / "data" / "containers" / name / f"{name}-json.log").read_bytes()
    ours = [head(piece, "stdout") + b'"}\n' for text in _SPOKEN for piece in pieces(text)]
    streams = {
        stream: [line for line in _without_times(real).splitlines(keepends=True) if stream in line]
        for stream in (b'"stdout"', b'"stderr"')
    }
    assert streams[b'"stdout"'] == ours
    assert streams[b'"stderr"'] == [head("last", "stderr") + b'"}\n']
    times = re.findall(rb'"time":"([^"]*)"', real)
    assert all(re.fullmatch(rb"[\d-]{10}T[\d:]{8}(\.\d{0,8}[1-9])?Z", each) for each in times)


@pytest.mark.engine
@pytest.mark.parametrize("compress", [False, True])
def test_files_are_rotated_like_those_of_a_real_engine(
    engine: PrivateEngine, docker_client: docker.DockerClient, busybox: str, tmp_path: Path, compress: bool
) -> None:
    rotation = Rotation(4096, 3, compress)
    script = 'i=0; while [ $i -lt 200 ]; do printf "%0100d\\n" $i; i=$((i+1)); done'
    name = _spoken(docker_client, busybox, script, rotation.options())
    folder = engine.root / "data" / "containers" / name
    log = JsonFileLog(tmp_path / f"{name}-json.log", rotation)
    # Times of one length, as most of the Engine's are; the rare shorter ones may move a border by a record.
    log.write([head(f"{n:0100d}\n", "stdout") + STAMP.encode() + b'"}\n' for n in range(200)], STAMP)
    log.close()

    def borders(path: Path) -> Iterator[tuple[str, int]]:
        for each in sorted(path.glob(f"{name}-json.log*")):
            raw = gzip.decompress(each.read_bytes()) if each.suffix == ".gz" else each.read_bytes()
            yield each.name, len(raw.splitlines())

    # The Engine compresses beside its work, and removes what it has compressed at the end.
    wanted = {each.name for each in tmp_path.glob(f"{name}-json.log*")}
    _until(iter(lambda: {each.name for each in folder.glob(f"{name}-json.log*")} == wanted, None))
    real, ours = dict(borders(folder)), dict(borders(tmp_path))
    assert real.keys() == ours.keys()
    # A record of the Engine has up to nine digits more in its time, so a file holds one or two fewer.
    assert all(abs(real[each] - ours[each]) <= 3 for each in real if each != f"{name}-json.log")


@pytest.mark.engine
def test_a_folder_has_the_fields_of_a_real_engine_s(
    engine: PrivateEngine, docker_client: docker.DockerClient, busybox: str
) -> None:
    name = _spoken(docker_client, busybox, "true", Rotation(4096, 2).options())
    folder = engine.root / "data" / "containers" / name
    for file, ours in (
        ("config.v2.json", config(identity(0, 0), folder / "x")),
        ("hostconfig.json", host_config(Rotation(4096, 2))),
    ):
        real = json.loads((folder / file).read_text())
        assert ours.keys() <= real.keys()
        for key, nested in ours.items():
            assert type(real[key]) is type(nested), key
            if isinstance(nested, dict) and key != "Labels":
                assert set(nested) <= {*real[key], "Labels"}, key
