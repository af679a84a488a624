"""The body with which the Engine makes one more replica, out of a healthy one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.dockerd.model import NUMBER_LABEL
from compose_agent.dockerd.verbs.compose.siblings import REPLACE_LABEL, REQUEST_LABEL, Replica

# The first API version that takes several networks in one create (Engine 25); before, all but one have to be
# connected afterwards.
SEVERAL_NETWORKS_API = (1, 44)

# Where the Engine finds a volume whose name it chose itself: 64 hex digits.
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
# Those fields of an endpoint that are a user's wish; the others are what came of it.
_WISHES = ("IPAMConfig", "Links", "DriverOpts", "GwPriority")
# Networks in which a container has no names.
_NAMELESS = ("none", "host", "bridge", "default")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CreatePlan:
    """What makes a replica: its name, the body of ``create``, and networks to connect afterwards."""

    name: str
    body: Json
    networks: Mapping[str, Json]


def clone_body(source: Replica, number: int, request_id: str, api_version: tuple[int, int]) -> CreatePlan:
    """Return how to make a replica with this number out of ``source``.

    The image is taken by id, because its tag may have moved since. Where a clone would be wrong,
    ``refusals`` says beforehand.
    """
    name = clone_name(source, number)
    host = _host_config(source.raw["HostConfig"])
    endpoints = _endpoints(source, name)
    at_once = endpoints if api_version >= SEVERAL_NETWORKS_API else _first(endpoints, host["NetworkMode"])
    config = _config(source, number, request_id)
    config["Volumes"] = {**(config.get("Volumes") or {}), **_bound_anonymous(source.raw["HostConfig"])}
    body = {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": at_once}}
    return CreatePlan(name, body, {key: each for key, each in endpoints.items() if key not in at_once})


def clone_name(source: Replica, number: int) -> str:
    """Return the name that Compose would give, with the separator of the source's name."""
    return f"{source.name.removesuffix(str(source.number))}{number}"


def version_of(api_version: str) -> tuple[int, int]:
    """Return ``1.44`` as two numbers."""
    major, _, minor = api_version.partition(".")
    return int(major), int(minor)


def _config(source: Replica, number: int, request_id: str) -> Json:
    config = dict(source.raw["Config"])
    # The Engine gives each container its short id for a host name, unless the user gave one.
    if config.get("Hostname") == source.container.short_id:
        del config["Hostname"]
    config.pop("MacAddress", None)
    config["Image"] = source.container.image_id
    labels = {key: text for key, text in source.container.labels.items() if key != REPLACE_LABEL}
    config["Labels"] = labels | {NUMBER_LABEL: str(number), REQUEST_LABEL: request_id}
    return config


def _host_config(source: Mapping[str, Any]) -> Json:
    host = dict(source)
    host.pop("ContainerIDFile", None)
    host["Mounts"] = [_fresh(mount) for mount in source.get("Mounts") or ()]
    host["Binds"] = [bind for bind in source.get("Binds") or () if not _is_anonymous(bind.partition(":")[0])]
    host["Links"] = [_as_given(link) for link in source.get("Links") or ()]
    return host


def _fresh(mount: Mapping[str, Any]) -> Json:
    """Return the mount without the volume that a replica took over when Compose made it anew."""
    inherited = mount.get("Type") == "volume" and _is_anonymous(str(mount.get("Source") or ""))
    return {key: each for key, each in mount.items() if not (inherited and key == "Source")}


def _bound_anonymous(host: Mapping[str, Any]) -> Json:
    """Return, as volumes to be made, what the source has bound of volumes without a name."""
    binds = [bind.split(":") for bind in host.get("Binds") or ()]
    return {parts[1]: {} for parts in binds if len(parts) > 1 and _is_anonymous(parts[0])}


def _is_anonymous(volume: str) -> bool:
    return _ANONYMOUS.fullmatch(volume) is not None


def _as_given(link: str) -> str:
    """Return ``/db:/web/alias``, as inspect shows a legacy link, as create takes it: ``db:alias``."""
    target, _, alias = link.partition(":")
    return f"{target.removeprefix('/')}:{alias.rpartition('/')[2]}"


def _endpoints(source: Replica, name: str) -> dict[str, Json]:
    if source.container.network_mode == "none":
        return {}
    networks = (source.raw.get("NetworkSettings") or {}).get("Networks") or {}
    return {network: _endpoint(source, name, network, each or {}) for network, each in networks.items()}


def _endpoint(source: Replica, name: str, network: str, endpoint: Mapping[str, Any]) -> Json:
    wishes = {key: endpoint[key] for key in _WISHES if endpoint.get(key)}
    if network in _NAMELESS:
        return wishes
    # Engines before 25 add the short id to the user's aliases.
    own = (source.name, source.container.short_id)
    others = [alias for alias in endpoint.get("Aliases") or () if alias not in own]
    return wishes | {"Aliases": [name, *others]}


def _first(endpoints: Mapping[str, Json], network_mode: str) -> dict[str, Json]:
    """Return the one network that an older Engine takes in ``create``: that of NetworkMode."""
    return (
        {network_mode: endpoints[network_mode]}
        if network_mode in endpoints
        else dict([*endpoints.items()][:1])
    )
