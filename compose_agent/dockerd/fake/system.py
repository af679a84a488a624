"""The Engine about itself, and about images, networks and volumes, as the API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.fake.clock import NANOSECONDS
from compose_agent.dockerd.fake.dialect import version_text
from compose_agent.dockerd.fake.shapes import ROOT, list_item
from compose_agent.dockerd.fake.stats import HOST_MEMORY, ONLINE_CPUS
from compose_agent.dockerd.fake.times import rfc3339

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.dialect import Dialect
    from compose_agent.dockerd.fake.model import Image, Network, Volume
    from compose_agent.dockerd.fake.shapes import View
    from compose_agent.dockerd.fake.store import Store

Json = dict[str, Any]
KERNEL = "6.1.0-18-amd64"
BUILT = "2025-10-08T12:17:26.000000000+00:00"
_COMMIT = "0000000"
_GO = "go1.24.8"
_TRUE_INFO = (
    "MemoryLimit SwapLimit KernelMemoryTCP CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit "
    "IPv4Forwarding OomKillDisable"
)


def version(dialect: Dialect) -> Json:
    """Return the answer of ``GET /version``."""
    details = {
        "ApiVersion": version_text(dialect.api),
        "Arch": "amd64",
        "BuildTime": BUILT,
        "Experimental": "false",
        "GitCommit": _COMMIT,
        "GoVersion": _GO,
        "KernelVersion": KERNEL,
        "MinAPIVersion": version_text(dialect.minimum),
        "Os": "linux",
    }
    same = {key: value for key, value in details.items() if key != "Experimental"}
    engine = {"Name": "Engine", "Version": dialect.release, "Details": details}
    return {"Platform": {"Name": ""}, "Components": [engine], "Version": dialect.release} | same


def info(view: View, *, engine_id: str, listeners: int, more: Json) -> Json:
    """Return the answer of ``GET /info``; ``more`` replaces what a test wants otherwise."""
    states = [container.state for container in view.store.containers.values()]
    return {
        "ID": engine_id,
        "Containers": len(states),
        "ContainersRunning": sum(state.running and not state.paused for state in states),
        "ContainersPaused": sum(state.paused for state in states),
        "ContainersStopped": sum(not state.running for state in states),
        "Images": len(view.store.images),
        **_host(),
        "SystemTime": rfc3339(view.now_ns),
        "NEventsListener": listeners,
        "ServerVersion": view.dialect.release,
        **_runtimes(),
        **dict.fromkeys(_TRUE_INFO.split(" "), True),
        **more,
    }


def image_item(image: Image, view: View) -> Json:
    """Return one element of the answer of ``GET /images/json``."""
    users = sum(one.image_id == image.id for one in view.store.containers.values())
    shape: Json = {
        "Containers": users if view.dialect.api >= (1, 51) else -1,
        "Created": image.created_ns // NANOSECONDS,
        "Id": image.id,
        "Labels": None,
        "ParentId": "",
        "RepoDigests": [],
        "RepoTags": [image.tag],
        "SharedSize": -1,
        "Size": image.size,
    }
    return shape if view.dialect.api >= (1, 44) else shape | {"VirtualSize": image.size}


def image_inspect(image: Image) -> Json:
    """Return the answer of ``GET /images/{name}/json``."""
    return {
        "Id": image.id,
        "RepoTags": [image.tag],
        "RepoDigests": [],
        "Comment": "",
        "Created": rfc3339(image.created_ns),
        "Author": "",
        "Config": {
            "Cmd": None,
            "Entrypoint": None,
            "Env": None,
            "Labels": None,
            "User": "",
            "WorkingDir": "",
        },
        "Architecture": "amd64",
        "Os": "linux",
        "Size": image.size,
        "GraphDriver": {"Data": {"MergedDir": f"{ROOT}/overlay2/merged"}, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": [image.id]},
        "Metadata": {"LastTagTime": rfc3339(image.created_ns)},
    }


def network(one: Network, store: Store, *, members: bool) -> Json:
    """Return a network; only its own inspect lists who is on it."""
    on_it = {container.id: {"Name": container.name} for container in store.members(one)} if members else {}
    return {
        "Name": one.name,
        "Id": one.id,
        "Created": rfc3339(one.created_ns),
        "Scope": "local",
        "Driver": one.driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": on_it,
        "Options": {},
        "Labels": one.labels,
    }


def volume(one: Volume) -> Json:
    """Return a volume."""
    return {
        "CreatedAt": rfc3339(one.created_ns // NANOSECONDS * NANOSECONDS),
        "Driver": "local",
        "Labels": one.labels,
        "Mountpoint": f"{ROOT}/volumes/{one.name}/_data",
        "Name": one.name,
        "Options": None,
        "Scope": "local",
    }


def disk_usage(view: View) -> Json:
    """Return the answer of ``GET /system/df``."""
    store = view.store
    usage = {"UsageData": {"RefCount": 1, "Size": 0}}
    return {
        "LayersSize": sum(image.size for image in store.images.values()),
        "Images": [image_item(image, view) for image in store.images.values()],
        "Containers": [list_item(one, view, size=True) for one in store.containers.values()],
        "Volumes": [volume(one) | usage for one in store.volumes.values()],
        "BuildCache": [] if view.dialect.modern else None,
    }


def _host() -> Json:
    return {
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", "extfs"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": ["json-file", "local"],
        },
        "Debug": False,
        "NFd": 25,
        "NGoroutines": 50,
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "1",
        "KernelVersion": KERNEL,
        "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
        "OSVersion": "12",
        "OSType": "linux",
        "Architecture": "x86_64",
        "NCPU": ONLINE_CPUS,
        "MemTotal": HOST_MEMORY,
        "GenericResources": None,
        "DockerRootDir": ROOT,
        "Name": "fake-engine",
        "Labels": [],
        "ExperimentalBuild": False,
    }


def _runtimes() -> Json:
    return {
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Runtimes": {"runc": {"path": "runc"}},
        "DefaultRuntime": "runc",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": False,
        "Isolation": "",
        "InitBinary": "docker-init",
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "Warnings": None,
    }
