"""The kernel's files, also odd ones."""

import pytest

from compose_agent.dockerd.usage import parse
from compose_agent.dockerd.usage.sample import DeviceIO, InterfaceIO
from tests.dockerd.usage import trees

MAX64 = 2**64 - 1
HEAD = "".join(trees.NET_DEV.splitlines(keepends=True)[:2])
NAMES = {"8:0": "sda", "254:0": "vda"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", {}),
        (b"nr_periods 5\nnr_throttled 1\n", {b"nr_periods": 5, b"nr_throttled": 1}),
        (b"usage_usec 18446744073709551615\n", {b"usage_usec": MAX64}),
        (b"usage_usec 7", {b"usage_usec": 7}),
    ],
)
def test_a_keyed_file_is_a_dictionary(data: bytes, expected: dict[bytes, int]) -> None:
    assert parse.keyed(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"a 1\nfile_mapped 5\n", None),
        (b"a 1\nfile 12\nb 3\n", 12),
        (b"a 1\nfile 12\n", 12),
        (b"a 1\nfile 12", 12),
        (b"\nfile 12", 12),
        (b"a 1\nfile 18446744073709551615\n", MAX64),
    ],
)
def test_a_value_is_found_in_the_middle_and_at_both_ends(data: bytes, expected: int | None) -> None:
    assert parse.value_behind(data, b"\nfile ") == expected


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0", "eth0"),
        ("eth0:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0", "eth0"),
        ("eth0.100: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0", "eth0.100"),
        ("eth0:1: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0", "eth0:1"),
        ('a%b"\\: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0', 'a%b"\\'),
    ],
)
def test_an_interface_has_its_name_and_eight_counters(line: str, name: str) -> None:
    assert parse.net_dev((HEAD + line + "\n").encode()) == {name: InterfaceIO(1, 2, 3, 4, 5, 6, 7, 8)}


def test_an_interface_with_a_name_that_is_no_utf8_is_kept() -> None:
    data = HEAD.encode() + b" \xff0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"
    assert list(parse.net_dev(data)) == ["\N{REPLACEMENT CHARACTER}0"]


def test_network_counters_go_up_to_64_bits() -> None:
    line = f"eth0: {MAX64} 0 0 0 0 0 0 0 {MAX64} 0 0 0 0 0 0 0\n"
    found = parse.net_dev((HEAD + line).encode())["eth0"]
    assert (found.receive_bytes, found.transmit_bytes) == (MAX64, MAX64)


@pytest.mark.parametrize(
    "data", [b"", HEAD.encode(), HEAD.encode() + b"    lo: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"]
)
def test_loopback_alone_is_no_interface(data: bytes) -> None:
    assert parse.net_dev(data) == {}


@pytest.mark.parametrize("sizes", [b"", b"Total 0\n", b"Total 0", b"Total 12345678901234\n"])
def test_v1_without_a_device_line_is_unknown_and_not_zero(sizes: bytes) -> None:
    assert parse.v1_blkio(sizes, sizes, NAMES) == {}


def test_v1_block_io_has_bytes_and_operations_by_device_name() -> None:
    found = parse.v1_blkio(trees.V1_BYTES.encode(), trees.V1_OPERATIONS.encode(), NAMES)
    assert found == {"vda": DeviceIO(8192, 4096, 2, 1)}


def test_v1_operations_of_a_device_without_any_are_unknown() -> None:
    assert parse.v1_blkio(trees.V1_BYTES.encode(), b"Total 0\n", NAMES) == {
        "vda": DeviceIO(8192, 4096, None, None)
    }


def test_v1_devices_stand_in_the_order_of_the_file() -> None:
    lines = [f"8:{n * 16} {way} {n}" for n in range(20) for way in ("Read", "Write")]
    data = "\n".join([*lines, "Total 380", ""]).encode()
    assert list(parse.v1_blkio(data, b"", {})) == [f"8:{n * 16}" for n in range(20)]


def test_v1_rows_of_hidden_multipath_disks_are_left_out() -> None:
    data = b"(unknown) Read 1\n(unknown) Write 2\n8:0 Read 3\n8:0 Write 4\nTotal 10\n"
    assert parse.v1_blkio(data, b"", NAMES) == {"sda": DeviceIO(3, 4, None, None)}


SDA = "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", {}),
        (SDA, {"sda": DeviceIO(1, 2, 3, 4)}),
        ("8:0 rbytes=1 wbytes=2 rios=3 wios=4\n", {"sda": DeviceIO(1, 2, 3, 4)}),
        ("8:0 \n", {}),
        ("252:0 ", {}),
        ("8:0 cost.usage=5\n" + SDA, {"sda": DeviceIO(1, 2, 3, 4)}),
        ("7:7 7:6 " + SDA, {"sda": DeviceIO(1, 2, 3, 4)}),
        ("(unknown) rbytes=9 wbytes=9 rios=9 wios=9 dbytes=0 dios=0\n" + SDA, {"sda": DeviceIO(1, 2, 3, 4)}),
        ("9:9 rbytes=1 wbytes=2 rios=3 wios=4\n", {"9:9": DeviceIO(1, 2, 3, 4)}),
        (f"8:0 rbytes={MAX64} wbytes=0 rios=0 wios=0\n", {"sda": DeviceIO(MAX64, 0, 0, 0)}),
        (SDA.strip() + " cost.vrate=100.00 cost.usage=1\n", {"sda": DeviceIO(1, 2, 3, 4)}),
    ],
)
def test_v2_block_io_is_read_from_lines_that_count(data: str, expected: dict[str, DeviceIO]) -> None:
    assert parse.v2_io(data.encode(), NAMES) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", {}),
        (b"\n 8 0\n", {}),
        (b"   8       0 sda 1 2 3\n 259  1 nvme0n1p1 4\n", {"8:0": "sda", "259:1": "nvme0n1p1"}),
    ],
)
def test_devices_get_the_names_of_diskstats(data: bytes, expected: dict[str, str]) -> None:
    assert parse.diskstats(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", {}),
        (b"0::/a/b\n", {"": "/a/b"}),
        (b"3:cpu,cpuacct:/x\n1:name=systemd:/y\n", {"cpu": "/x", "cpuacct": "/x", "name=systemd": "/y"}),
        (b"0::/a:b:c\n", {"": "/a:b:c"}),
        ("0::/a\u2028b\x0bc\n".encode(), {"": "/a\u2028b\x0bc"}),
        (b"0::/\xff\n", {"": "/\udcff"}),
    ],
)
def test_the_cgroups_of_a_process_are_found_by_controller(data: bytes, expected: dict[str, str]) -> None:
    assert parse.proc_cgroup(data) == expected


def test_a_garbled_cgroup_file_of_a_process_is_an_error() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        parse.proc_cgroup(b"nonsense\n")
