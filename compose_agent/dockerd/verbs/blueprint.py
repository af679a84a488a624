"""The body of a create that makes a container like one that there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from compose_agent.dockerd.verbs.containers import Look
from compose_agent.dockerd.verbs.endpoints import endpoint_config, endpoints, network_of

Json = dict[str, Any]
_SHORT_ID = 12
# Modes in which there is no network of one's own, nor an endpoint to configure.
_SHARED_NETWORK = "container:"
_WITHOUT_ENDPOINTS = ("host", "none")


def blueprint(old: Look, image: str) -> Json:
    """Return what to create: the same configuration, on its first network, with the volumes that it has.

    The others of its networks are connected afterwards, because Engines before 25 take one at a creation.
    """
    host = dict(old.raw["HostConfig"])
    body: Json = dict(old.raw["Config"]) | {"Image": image, "HostConfig": _with_volumes(host, old.raw)}
    shared = str(host.get("NetworkMode") or "").startswith(_SHARED_NETWORK)
    if shared or host.get("UTSMode") == "host" or body.get("Hostname") == old.id[:_SHORT_ID]:
        body.pop("Hostname", None)  # its own id, or that of whom it shares it with
    if shared:
        body.pop("ExposedPorts", None)
    if (first := first_network(old)) and (endpoint := endpoint_config(old, first)):
        body["NetworkingConfig"] = {"EndpointsConfig": {first: endpoint}}
    return body


def first_network(old: Look) -> str:
    """Return the network that it was created on, by name; empty without one of its own."""
    mode = str(old.raw["HostConfig"].get("NetworkMode") or "")
    if mode.startswith(_SHARED_NETWORK) or mode in _WITHOUT_ENDPOINTS:
        return ""
    return network_of(old, "bridge" if mode == "default" else mode)


def further_networks(old: Look, new: Look) -> dict[str, Json]:
    """Return, by network, the endpoints of the old one that the new one lacks."""
    missing = endpoints(old).keys() - endpoints(new).keys()
    return {network: endpoint_config(old, network) for network in sorted(missing)}


def image_reference(old: Look, images: Iterable[Mapping[str, Any]]) -> str:
    """Return the name of the container's image if that still stands for the same image, else the id."""
    own = str(old.raw["Image"])
    name = str(old.raw["Config"].get("Image") or "")
    tagged = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
    for image in images:
        names = [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]
        if image.get("Id") == own and tagged in names:
            return name
    return own


def _with_volumes(host: Json, raw: Mapping[str, Any]) -> Json:
    """Name the volumes that the configuration leaves unnamed, so that the new one gets no fresh ones."""
    held = {each["Destination"]: each for each in raw.get("Mounts") or () if each.get("Type") == "volume"}
    mounts = [_named(mount, held) for mount in host.get("Mounts") or ()]
    binds = list(host.get("Binds") or ())
    taken = {mount.get("Target") for mount in mounts} | {bind.split(":")[1] for bind in binds if ":" in bind}
    for target in sorted(held.keys() - taken):
        mode = "" if held[target].get("RW", True) else ":ro"
        binds.append(f"{held[target]['Name']}:{target}{mode}")
    return host | ({"Mounts": mounts} if mounts else {}) | ({"Binds": binds} if binds else {})


def _named(mount: Json, held: Mapping[str, Mapping[str, Any]]) -> Json:
    volume = held.get(str(mount.get("Target")))
    if mount.get("Type") != "volume" or mount.get("Source") or volume is None:
        return mount
    return mount | {"Source": volume["Name"]}
