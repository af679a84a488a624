"""A real host with cgroup v2 on a machine that has none: User Mode Linux, run for one command.

::

    done = uml.run([sys.executable, "-m", "pytest", "tests/integration/v2"], cwd=checkout)

The guest is a Linux 6.1 kernel that runs as ordinary processes, up in two seconds.  It sees the
machine's files read-only and under their own paths, has /tmp, /run and /dev/shm of its own, the
controllers cpu, io, memory and pids in /sys/fs/cgroup, a disk of its own at ``DISK`` (a real block
device, so that io.stat counts), and no network but its loopback.  Everything else works in it as
anywhere: ``PrivateEngine("28", share_network=True)`` is an Engine on cgroup v2, ready ten seconds
after boot; a container takes two to four seconds to start.  The kernel knows no PSI, no swap
accounting and no nf_tables.

Traps this module knows about:

- Busybox as PID 1 cannot start a program (the kernel says "expected SIGSTOP" for ever); dash can.
- Modules lie outside /lib/modules, where modprobe does not look, and no insmod may be installed.
- Locks taken in the guest are not seen outside: with the machine's /tmp, a sweep of lab.scratch
  would take every living scratch for a dead one.
- The memory of a guest process does not show the environment that it was started with, so nothing
  on the host would know that it belongs to a scratch: a PID namespace ends them all at once.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lab import LabError, packages
from lab.scratch import Scratch

DISK = "/mnt"
RESULTS = "/run/results"
# Set to 1 in the guest, for tests that run only there.
GUEST_MARK = "LAB_GUEST"

# A boot, an Engine and a dozen containers take about a minute on an idle machine.
TIMEOUT_S = 300.0
# An Engine with a few small images on a tmpfs; the machine gives a page only when it is used.
MEMORY_MIB = 4096
# Sparse, like the memory.
_DISK_BYTES = 1 << 30
_MKFS_TIMEOUT_S = 60
_CONSOLE_LINES = 40

_SUITE = "bookworm"
_MODULES = ("bridge", "veth", "overlay")
_CHECKOUT = Path(__file__).resolve().parent.parent

# The folder of results is bound under a name that no sweep of lab.scratch takes for a scratch.
_INIT = """#!/bin/sh
export PATH={search_path}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for module in {modules}; do {busybox} insmod $module; done
mount -t ext4 /dev/ubda {disk}
mount -t tmpfs tmpfs /run
mkdir /run/host /run/results
mount --bind / /run/host
mount --bind {results} /run/results
mount -t tmpfs tmpfs /tmp
for folder in {folders}; do
    mkdir -p $folder
    mount --bind /run/host$folder $folder
done
umount /run/host
mount -o remount,bind,ro /
ip link set lo up
(cd {cwd} && exec env -i {environment} {command}) </dev/null >/run/results/stdout 2>/run/results/stderr
echo $? >/run/results/status
sync
echo o >/proc/sysrq-trigger
sleep 60
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended in the guest; ``console`` is what the kernel said."""

    status: int
    stdout: str
    stderr: str
    console: str


def run(
    command: Sequence[str],
    *,
    results: Path,
    cwd: Path = _CHECKOUT,
    environment: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_S,
) -> Finished:
    """Boot a guest, run a command in it as root, and return how it ended.

    ``results`` is an empty folder in which the command finds ``RESULTS``, the only one of the machine's
    that it can write to; its output is kept there as well.  ``environment`` is all that it gets besides
    PATH, HOME, LAB_CACHE and GUEST_MARK.  Raises LabError when the guest does not come up, or when the
    command takes longer than ``timeout`` seconds.
    """
    tree = packages.unpack(["user-mode-linux"], _SUITE)
    packages.ensure_installed({"mkfs.ext4": "e2fsprogs"})
    with closing(Scratch()) as scratch:
        init = scratch.root / "init.sh"
        init.write_text(_init(tree, command, results, cwd, environment or {}), encoding="utf-8")
        init.chmod(0o755)
        console = _boot(scratch, tree / "usr/bin/linux.uml", init, timeout)
    if not (results / "status").is_file():
        raise LabError(f"the guest ended before the command did:\n{_tail(console)}")
    status = int((results / "status").read_text(encoding="utf-8"))
    return Finished(status, _text(results / "stdout"), _text(results / "stderr"), console)


def modules_in_order(dependencies: str, names: Iterable[str]) -> list[str]:
    """Return the files of modules in the order in which to load them, from the text of ``modules.dep``.

    A line there is ``a.ko: b.ko c.ko``, where ``c`` has to be loaded before ``b`` and ``b`` before ``a``.
    """
    needs = {
        file: line.split() for file, _, line in (row.partition(":") for row in dependencies.splitlines())
    }
    found: dict[str, None] = {}
    for name in names:
        file = next((file for file in needs if Path(file).name == f"{name}.ko"), None)
        if file is None:
            raise LabError(f"the kernel has no module {name}")
        found.update(dict.fromkeys([*reversed(needs[file]), file]))
    return list(found)


def _init(
    tree: Path, command: Sequence[str], results: Path, cwd: Path, environment: Mapping[str, str]
) -> str:
    """Return the script of PID 1."""
    folder = next((tree / "usr/lib/uml/modules").iterdir())
    modules = modules_in_order((folder / "modules.dep").read_text(encoding="utf-8"), _MODULES)
    own = {"PATH": packages.SEARCH_PATH, "HOME": "/tmp", GUEST_MARK: "1"}
    own["LAB_CACHE"] = str(packages.cache_folder())
    variables = [f"{name}={value}" for name, value in {**own, **environment}.items()]
    return _INIT.format(
        search_path=shlex.quote(packages.SEARCH_PATH),
        busybox=shlex.quote(str(packages.unpack(["busybox-static"]) / "bin" / "busybox")),
        modules=shlex.join(str(folder / module) for module in modules),
        disk=DISK,
        results=shlex.quote(str(results.resolve())),
        folders=shlex.join(_covered([cwd, _CHECKOUT, packages.cache_folder(), Path(sys.prefix)])),
        cwd=shlex.quote(str(cwd)),
        environment=shlex.join(variables),
        command=shlex.join(command),
    )


def _covered(folders: Iterable[Path]) -> list[str]:
    """Return those of the folders that the guest's own /tmp and /run would hide."""
    paths = {str(folder.absolute()) for folder in folders}
    return sorted(path for path in paths if path.startswith(("/tmp/", "/run/")))


def _boot(scratch: Scratch, kernel: Path, init: Path, timeout: float) -> str:
    """Run the guest until it powers itself off, and return its console."""
    disk = scratch.root / "disk"
    _make_disk(disk)
    guest = [
        *("unshare", "--pid", "--fork", "--kill-child", "--", str(kernel)),
        *(f"mem={MEMORY_MIB}M", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}"),
        *(f"ubda={disk}", f"uml_dir={scratch.root}/", "con=null", "con0=fd:0,fd:1", "quiet"),
    ]
    console = scratch.root / "console"
    with console.open("wb") as output:
        child = subprocess.Popen(
            guest,
            env={**os.environ, **scratch.environment()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"the guest was not done after {timeout:g} s:\n{_tail(_text(console))}") from error
    finally:
        child.kill()
        child.wait()
    return _text(console)


def _make_disk(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(_DISK_BYTES)
    # What would make the file large, or the mount slow, is left out.
    options = ["-O", "^has_journal", "-E", "lazy_itable_init=1"]
    make = [packages.which("mkfs.ext4") or "mkfs.ext4", "-q", "-F", *options, str(path)]
    subprocess.run(make, check=True, capture_output=True, timeout=_MKFS_TIMEOUT_S)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _tail(console: str) -> str:
    return "\n".join(console.splitlines()[-_CONSOLE_LINES:])
