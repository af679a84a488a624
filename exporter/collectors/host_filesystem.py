"""The file system that Docker's root lies on."""

import os
from collections.abc import Callable
from pathlib import Path

from exporter.families import Family, HostCollector, Scrape, Values
from exporter.settings import ExporterSettings


def make(
    settings: ExporterSettings, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
) -> Callable[[Scrape], Values]:
    """Return the function that asks the file system; no series where the Docker root cannot be seen."""

    def values(scrape: Scrape) -> Values:
        if not (scrape.local and scrape.engine.root_dir):
            return (None, None)
        try:
            found = statvfs(settings.rootfs / scrape.engine.root_dir.lstrip("/"))
        except (FileNotFoundError, PermissionError):
            return (None, None)  # not mounted into our container
        return (found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    return values


COLLECTOR = HostCollector(
    name="host-filesystem",
    help="size and free space of the file system below the Docker root",
    families=(
        Family(
            "docker_host_filesystem_size_bytes", "gauge", "Size of the Docker root's file system, in bytes."
        ),
        Family(
            "docker_host_filesystem_available_bytes",
            "gauge",
            "Space that is left on the Docker root's file system for ordinary users, in bytes.",
        ),
    ),
    make=make,
)
