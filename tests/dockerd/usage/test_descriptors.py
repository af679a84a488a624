"""Files read again and again, with many descriptors and with few."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose_agent.dockerd.usage.descriptors import Descriptors, Reopened

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("kind", [Descriptors, Reopened])
def test_each_reading_is_of_the_files_as_they_are_now(
    tmp_path: Path, kind: type[Descriptors | Reopened]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    files = kind([one, None, two])
    assert files.read() == [b"1", b"", b""]
    one.write_text("22")
    assert files.read() == [b"22", b"", b""]
    files.close()
    files.close()


@pytest.mark.parametrize("kind", [Descriptors, Reopened])
@pytest.mark.parametrize("size", [0, 3071, 3072, 4096, 16384, 100_000])
def test_a_file_of_any_size_is_read_whole(
    tmp_path: Path, kind: type[Descriptors | Reopened], size: int
) -> None:
    (tmp_path / "first").write_text("1")
    (tmp_path / "file").write_bytes(os.urandom(size))
    files = kind([tmp_path / "first", tmp_path / "file"])
    assert files.read()[1] == (tmp_path / "file").read_bytes()
    files.close()


def test_a_file_of_which_the_kernel_gives_a_page_at_a_time_is_read_whole() -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-c", "import ssl, sqlite3, ctypes; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with waiting:
        assert waiting.stdout
        waiting.stdout.readline()
        maps = Path(f"/proc/{waiting.pid}/maps")  # as net/dev of a container with many interfaces
        whole = maps.read_bytes()
        files = Descriptors([maps])
        assert len(whole) > 4096
        assert files.read() == [whole]
        files.close()
        waiting.communicate(b"\n")


def test_reopened_files_of_a_container_that_is_gone_say_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such device") as caught:
        Reopened([tmp_path / "gone", None]).read()
    assert caught.value.errno == errno.ENODEV


def test_a_file_that_cannot_be_opened_leaves_none_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(NotADirectoryError):
        Descriptors([tmp_path / "file", tmp_path / "file" / "below"])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# With 200 descriptors allowed and 30 containers there are not enough to keep; what is left must do for
# the reading and for a connection beside it.
FEW = """
import os, resource, socket, sys
from pathlib import Path
from compose_agent.dockerd.usage import UsageReader
from tests.dockerd.usage import trees

resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
blocked = [os.open("/dev/null", os.O_RDONLY) for _ in range(int(sys.argv[2]))]
host = trees.host(Path(sys.argv[1]), 2)
containers = []
for n in range(30):
    id = f"{n:064x}"
    host.run(f"/docker/{id}", pid=1000 + n)
    containers.append(trees.container(id, 1000 + n))
reader = UsageReader(host.mounts, lambda _: {}, source="cgroup")
for _ in range(2):
    readings = reader.read(containers, 1.0)
    assert readings.errors == (), readings.errors
    assert readings.sources == {"cgroup": 30, "api": 0, "none": 0}, readings.sources
for n in range(2):
    socket.socket()
print(len(os.listdir("/proc/self/fd")))
"""


@pytest.mark.parametrize("blocked", [0, 150, 185], ids=["few", "very-few", "hardly-any"])
def test_with_few_descriptors_all_containers_are_read_and_some_are_left(tmp_path: Path, blocked: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW, str(tmp_path), str(blocked)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stderr == ""
    assert int(done.stdout) < 200 - 2
