"""Block I/O of running containers, for each device."""

from collections.abc import Mapping

from compose_agent.dockerd.usage import DeviceIO, Sample
from exporter.families import Family, Number, UsageCollector, Values


def values(sample: Sample) -> Values:
    """Return one value for each family, by device."""
    return [_column(sample.devices, n) for n in range(len(FAMILIES))]


def _column(devices: Mapping[str, DeviceIO], n: int) -> dict[str, Number]:
    return {name: value for name, counters in devices.items() if (value := counters[n]) is not None}


FAMILIES = (
    Family("docker_container_fs_read_bytes_total", "counter", "Bytes read from block devices.", ("device",)),
    Family(
        "docker_container_fs_write_bytes_total", "counter", "Bytes written to block devices.", ("device",)
    ),
    Family("docker_container_fs_reads_total", "counter", "Read operations on block devices.", ("device",)),
    Family("docker_container_fs_writes_total", "counter", "Write operations on block devices.", ("device",)),
)

COLLECTOR = UsageCollector(
    name="container-fs",
    help="block I/O of containers (cgroup v1 counts it only once any throttle rule is set on the device)",
    families=FAMILIES,
    make=lambda _: values,
)
