"""The least that an exporter in plain Python does for a scrape: the same files read, as many series printed.

No HTTP, no inventory, no shapes that change, no checks: what stands here cannot be saved. Prints JSON.

    python -m bench.exporter_floor unix:///var/run/docker.sock 60
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
import zlib
from pathlib import Path

import docker

_FILES = {
    "cpuacct": ("cpuacct.usage", "cpuacct.stat"),
    "cpu": ("cpu.stat",),
    "memory": ("memory.usage_in_bytes", "memory.stat"),
    "pids": ("pids.current",),
    "blkio": ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive"),
}
# As many series as the exporter has for a running container with one interface.
_READ_SERIES, _STATIC_SERIES = 21, 20


class _Row:
    def __init__(self, pid: int, name: str) -> None:
        paths = dict(
            line.split(":", 2)[1:]
            for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()
            if ":" in line
        )
        folders = {each: path for names, path in paths.items() for each in names.split(",")}
        self.fds = [
            os.open(f"/sys/fs/cgroup/{controller}{folders[controller]}/{file}", os.O_RDONLY)
            for controller, files in _FILES.items()
            for file in files
        ]
        self.fds.append(os.open(f"/proc/{pid}/net/dev", os.O_RDONLY))
        labels = f'{{name="{name}",id="0123456789ab",compose_project="fleet",compose_service="service-1"}}'
        self.template = "".join(
            f"docker_container_family_{n}_bytes_total{labels} %s\n" for n in range(_READ_SERIES)
        )
        self.static = "".join(f"docker_container_family_{n}{labels} 1\n" for n in range(_STATIC_SERIES))

    def text(self) -> str:
        usage, ticks, cpu, memory, details, pids, _, _, net = [os.pread(fd, 16384, 0) for fd in self.fds]
        t, c, n = ticks.split(), cpu.split(), net.split(b"eth0:")[1].split()
        picked = [
            int(details[details.index(mark) + len(mark) :].split(b"\n", 1)[0])
            for mark in (b"total_cache ", b"total_rss ", b"total_swap ", b"total_inactive_file ")
        ]
        values = (
            int(usage),
            int(t[1]),
            int(t[3]),
            int(c[1]),
            int(c[3]),
            int(c[5]),
            int(memory),
            *picked,
            int(pids),
        )
        return self.static + self.template % (*values, *map(int, n[:8]), 0)


def main() -> None:
    """Measure and print."""
    host, scrapes = sys.argv[1], int(sys.argv[2])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    client = docker.APIClient(base_url=host)
    rows = [
        _Row(client.inspect_container(each["Id"])["State"]["Pid"], each["Names"][0][1:])
        for each in client.containers()
    ]
    spent = []
    for _ in range(scrapes + 5):
        started = time.process_time()
        packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        body = "".join([row.text() for row in rows]).encode()
        packed = packer.compress(body) + packer.flush()
        spent.append(time.process_time() - started)
        time.sleep(0.02)
    result = {
        "containers": len(rows),
        "series": body.count(b"\n"),
        "gzip_bytes": len(packed),
        "cpu_ms_per_scrape": round(statistics.median(spent[5:]) * 1000, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
