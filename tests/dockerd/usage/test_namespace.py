from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.dockerd.usage.locate import open_files
from compose_agent.dockerd.usage.namespace import Namespace
from tests.dockerd.usage import trees
from tests.dockerd.usage.trees import ID, Host, container

SELF = "e1" * 32
# Controllers as each version names them in /proc/<pid>/cgroup.
CONTROLLER = {1: "memory", 2: ""}


def namespace(host: Host, seen: str, own: str | None) -> Namespace:
    """Return the namespace of a process that sees itself at ``seen`` and has mounted ``own``."""
    host.process(seen, pid=1)
    mount = host.root / "own"
    mount.mkdir()
    if own is not None:
        host.cgroup(own, host.files)
        if host.version == 2:
            mount = host.mounts.cgroupfs / own.lstrip("/")
        else:
            for hierarchy in host.mounts.cgroupfs.iterdir():
                (mount / hierarchy.name).symlink_to(hierarchy / own.lstrip("/"))
    return Namespace(host.mounts.cgroupfs, mount, host.mounts.procfs / "1/cgroup")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/../{ID}", f"/token/{ID}"),
        (f"/../../system.slice/docker-{ID}.scope", f"/system.slice/docker-{ID}.scope"),
        ("/", f"/token/{SELF}"),
        ("/below", f"/token/{SELF}/below"),
        ("/../..", "/"),
    ],
)
def test_a_path_seen_in_a_namespace_of_our_own_gets_its_top_in_front(
    host: Host, path: str, expected: str
) -> None:
    assert namespace(host, "/", f"/token/{SELF}").on_host(CONTROLLER[host.version], path) == expected


def test_on_the_host_itself_a_path_is_what_it_seems(host: Host) -> None:
    assert namespace(host, "/", "/").on_host(CONTROLLER[host.version], f"/docker/{ID}") == f"/docker/{ID}"


def test_in_the_hosts_namespace_our_own_mount_tells_nothing(host: Host) -> None:
    found = namespace(host, f"/token/{SELF}", f"/token/{SELF}")
    assert found.on_host(CONTROLLER[host.version], f"/docker/{ID}") == f"/docker/{ID}"


@pytest.mark.parametrize("own", [None, "/gone"])
def test_without_a_mount_of_our_own_nothing_is_known(host: Host, own: str | None) -> None:
    found = namespace(host, "/", None)
    if own:
        trees.write(host.root / "own" / CONTROLLER[host.version], {"cgroup.procs": ""})
    assert found.on_host(CONTROLLER[host.version], f"/../{ID}") is None


def test_without_a_proc_of_our_own_nothing_is_known(host: Host, tmp_path: Path) -> None:
    found = Namespace(host.mounts.cgroupfs, host.mounts.cgroupfs, tmp_path / "absent")
    assert found.on_host(CONTROLLER[host.version], f"/../{ID}") is None


def test_a_container_under_a_parent_that_only_the_engine_knows_is_found(host: Host) -> None:
    host.run(f"/token/{ID}", seen=f"/../{ID}")
    ours = namespace(host, "/", f"/token/{SELF}")
    assert open_files(container(), host.mounts, {}) is None
    files = open_files(container(), host.mounts, {}, namespace=ours)
    assert files is not None
    assert files.read().memory_bytes == 10485760
    assert files.read().networks is not None
    files.close()


def test_a_neighbour_that_is_another_container_is_not_believed(host: Host) -> None:
    other = "9" * 64
    host.run(f"/token/{other}", seen=f"/../{other}")
    assert open_files(container(), host.mounts, {}, namespace=namespace(host, "/", f"/token/{SELF}")) is None
