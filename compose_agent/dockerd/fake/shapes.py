"""Containers as the API shows them: the long form of inspect and the short one of the list."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.fake.clock import NANOSECONDS
from compose_agent.dockerd.fake.dialect import LIST_HEALTH_SINCE, Version
from compose_agent.dockerd.fake.times import human_duration, rfc3339

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.dialect import Dialect
    from compose_agent.dockerd.fake.model import Container, Health, State
    from compose_agent.dockerd.fake.store import Store

Json = dict[str, Any]
ROOT = "/var/lib/docker"
# Bridge networks' own addresses of old, beside those per network; gone since API 1.52.
_OLD_NETWORK_SETTINGS: Json = {
    "Bridge": "",
    "HairpinMode": False,
    "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None,
    "SecondaryIPv6Addresses": None,
    "EndpointID": "",
    "Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "MacAddress": "",
}


@dataclass(frozen=True, slots=True)
class View:
    """For whom containers are shown: the Engine's dialect, the request's version, the time, the store."""

    dialect: Dialect
    version: Version
    now_ns: int
    store: Store


def inspect(container: Container, view: View) -> Json:
    """Return the answer of ``GET /containers/{id}/json``."""
    argv = [*(container.config["Entrypoint"] or []), *(container.config["Cmd"] or [])]
    folder = f"{ROOT}/containers/{container.id}"
    paths = {"ResolvConfPath": "resolv.conf", "HostnamePath": "hostname", "HostsPath": "hosts"}
    started = container.run > 0
    log = f"{folder}/{container.id}-json.log"
    return {
        "Id": container.id,
        "Created": rfc3339(container.created_ns),
        "Path": argv[0] if argv else "",
        "Args": argv[1:],
        "State": state(container.state),
        "Image": container.image_id,
        **{key: f"{folder}/{name}" if started else "" for key, name in paths.items()},
        "LogPath": log if started and container.host_config["LogConfig"]["Type"] == "json-file" else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": container.host_config,
        "GraphDriver": _graph_driver(container),
        "Mounts": container.mounts,
        "Config": container.config,
        "NetworkSettings": _network_settings(container, view),
    }


def list_item(container: Container, view: View, *, size: bool = False) -> Json:
    """Return one element of the answer of ``GET /containers/json``."""
    argv = [*(container.config["Entrypoint"] or []), *(container.config["Cmd"] or [])]
    item: Json = {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.image,
        "ImageID": container.image_id,
        "Command": shlex.join(argv),
        "Created": container.created_ns // NANOSECONDS,
        "Ports": [],
        "Labels": container.labels,
        "State": container.state.status,
        "Status": status_text(container.state, view.now_ns),
        "HostConfig": {"NetworkMode": container.host_config["NetworkMode"]},
        "NetworkSettings": {"Networks": _endpoints(container, view)},
        "Mounts": container.mounts,
    }
    if size:
        item["SizeRootFs"] = 1_982_340
    if view.version >= LIST_HEALTH_SINCE:
        health = container.state.health
        item["Health"] = {
            "Status": health.status if health else "none",
            "FailingStreak": health.failing_streak if health else 0,
        }
    return item


def state(current: State) -> Json:
    """Return the ``State`` of an inspect; ``Health`` only for what has a health check."""
    shape: Json = {
        "Status": current.status,
        "Running": current.running,
        "Paused": current.paused,
        "Restarting": current.restarting,
        "OOMKilled": current.oom_killed,
        "Dead": False,
        "Pid": current.pid,
        "ExitCode": current.exit_code,
        "Error": current.error,
        "StartedAt": rfc3339(current.started_ns),
        "FinishedAt": rfc3339(current.finished_ns),
    }
    return shape if current.health is None else shape | {"Health": _health(current.health)}


def status_text(current: State, now_ns: int) -> str:
    """Return the words of ``docker ps`` for a state."""
    status = current.status
    if status in ("created", "removing"):
        return {"created": "Created", "removing": "Removal In Progress"}[status]
    ago = human_duration((now_ns - (current.finished_ns or now_ns)) / NANOSECONDS)
    if status in ("exited", "restarting"):
        word = "Exited" if status == "exited" else "Restarting"
        return f"{word} ({current.exit_code}) {ago} ago"
    up = f"Up {human_duration((now_ns - (current.started_ns or now_ns)) / NANOSECONDS)}"
    return f"{up} (Paused)" if status == "paused" else up + _health_text(current.health)


def _health(health: Health) -> Json:
    return {"Status": health.status, "FailingStreak": health.failing_streak, "Log": list(health.log)}


def _health_text(health: Health | None) -> str:
    if health is None or health.status == "none":
        return ""
    return " (health: starting)" if health.status == "starting" else f" ({health.status})"


def _graph_driver(container: Container) -> Json:
    layer = f"{ROOT}/overlay2/{container.id}"
    parts = {"LowerDir": "lower", "MergedDir": "merged", "UpperDir": "diff", "WorkDir": "work"}
    return {"Data": {key: f"{layer}/{name}" for key, name in parts.items()}, "Name": "overlay2"}


def _network_settings(container: Container, view: View) -> Json:
    key = f"/var/run/docker/netns/{container.sandbox[:12]}" if container.sandbox else ""
    settings: Json = {"SandboxID": container.sandbox, "SandboxKey": key, "Ports": {}}
    if view.version < (1, 52):
        bridge = _endpoints(container, view).get("bridge", {})
        settings |= {name: bridge.get(name, value) for name, value in _OLD_NETWORK_SETTINGS.items()}
    return settings | {"Networks": _endpoints(container, view)}


def _endpoints(container: Container, view: View) -> Json:
    return {name: _endpoint(container, name, given, view) for name, given in container.networks.items()}


def _endpoint(container: Container, name: str, given: Json, view: View) -> Json:
    running = container.state.running and not container.state.restarting
    addressed = running and name not in ("none", "host")
    shape: Json = {
        "IPAMConfig": given.get("IPAMConfig"),
        "Links": None,
        "Aliases": given.get("Aliases"),
        "NetworkID": view.store.networks[name].id if name in view.store.networks else "",
        "EndpointID": f"{container.run:02x}{container.id[2:]}" if running else "",
        "Gateway": "172.17.0.1" if addressed else "",
        "IPAddress": _address(container, view) if addressed else "",
        "IPPrefixLen": 16 if addressed else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "02:42:ac:11:00:02" if addressed else "",
        "DriverOpts": None,
    }
    if view.dialect.api >= (1, 44):
        shape["DNSNames"] = [container.name, container.id[:12]] if addressed else None
    if view.dialect.api >= (1, 48):
        shape["GwPriority"] = 0
    return shape


def _address(container: Container, view: View) -> str:
    number = 2 + list(view.store.containers).index(container.id)
    return f"172.17.{number // 256}.{number % 256}"
