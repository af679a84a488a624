"""Parsers of the kernel's files. Bytes in, numbers out; formats as in the kernel's own documentation.

Sources: Documentation/admin-guide/cgroup-v1/{cpuacct,memory,blkio-controller,pids}.rst,
Documentation/admin-guide/cgroup-v2.rst, proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from compose_agent.dockerd.usage.sample import DeviceIO, InterfaceIO

# cpuacct.stat and /proc/stat count in these (100 on every common Linux).
CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def keyed(data: bytes) -> dict[bytes, int]:
    """Return a flat keyed file (``key value`` on each line) as a dictionary."""
    words = data.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=False))


def value_behind(data: bytes, mark: bytes) -> int | None:
    r"""Return the number that follows the first ``mark``: for a few of forty keys faster than :func:`keyed`.

    A mark is ``b"\nkey "``, so that no longer key matches.
    """
    at = data.find(mark)
    if at < 0:
        return None
    end = data.find(b"\n", at + 1)
    return int(data[at + len(mark) : end if end >= 0 else None])


def net_dev(data: bytes) -> dict[str, InterfaceIO]:
    """Return the interfaces of a ``net/dev`` file, without the loopback."""
    found = {}
    for line in data.split(b"\n")[2:]:
        name, colon, numbers = line.rpartition(b":")
        name = name.strip()
        if colon and name != b"lo":
            n = numbers.split()
            found[name.decode(errors="replace")] = InterfaceIO(
                int(n[0]), int(n[1]), int(n[2]), int(n[3]), int(n[8]), int(n[9]), int(n[10]), int(n[11])
            )
    return found


def v1_blkio(sizes: bytes, counts: bytes, names: Mapping[str, str]) -> dict[str, DeviceIO]:
    """Return the devices in ``blkio.throttle.io_service_bytes`` and ``…io_serviced``.

    Without any throttle rule on the host the kernel counts nothing here and lists no device: that is
    unknown, not 0. ``names`` gives the name for ``major:minor``.
    """
    read_bytes, write_bytes = _v1_directions(sizes)
    if not (read_bytes or write_bytes):
        return {}
    reads, writes = _v1_directions(counts)
    return {
        names.get(device, device): DeviceIO(
            read_bytes.get(device, 0), write_bytes.get(device, 0), reads.get(device), writes.get(device)
        )
        for device in {**read_bytes, **write_bytes}
    }


def _v1_directions(data: bytes) -> tuple[dict[str, int], dict[str, int]]:
    reads: dict[str, int] = {}
    writes: dict[str, int] = {}
    if data.count(b"\n") > 1:  # else only the line "Total 0"
        for line in data.splitlines():
            words = line.split()  # "8:0 Read 4096"; hidden paths of multipath disks are "(unknown)"
            if len(words) == 3 and words[1] in (b"Read", b"Write") and b":" in words[0]:
                (reads if words[1] == b"Read" else writes)[words[0].decode()] = int(words[2])
    return reads, writes


def v2_io(data: bytes, names: Mapping[str, str]) -> dict[str, DeviceIO]:
    """Return the devices in a v2 ``io.stat``: ``8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0``.

    Some kernels put idle devices in front of the next one's line; a device without counters yet stands
    alone, and what is no device (multipath, ZFS) is ``(unknown)``.
    """
    found = {}
    for line in data.splitlines():
        head, counted, counters = line.partition(b" rbytes=")
        name = head.rpartition(b" ")[2].decode()
        if counted and ":" in name:
            pairs = dict(word.partition(b"=")[::2] for word in counters.split()[1:])
            found[names.get(name, name)] = DeviceIO(
                int(counters.split(None, 1)[0]),
                int(pairs[b"wbytes"]),
                int(pairs[b"rios"]),
                int(pairs[b"wios"]),
            )
    return found


def diskstats(data: bytes) -> dict[str, str]:
    """Return the device name for each ``major:minor`` in ``/proc/diskstats``."""
    rows = (line.split() for line in data.splitlines())
    return {f"{row[0].decode()}:{row[1].decode()}": row[2].decode() for row in rows if len(row) > 2}


def proc_cgroup(data: bytes) -> dict[str, str]:
    """Return the path for each controller in ``/proc/<pid>/cgroup``; the v2 hierarchy's key is empty."""
    paths = {}
    for line in data.decode(errors="surrogateescape").split("\n"):
        if not line:
            continue
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths
