"""How a container comes to be out of the body of a ``create``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.fake import templates
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.model import Container, Volume, new_id
from compose_agent.dockerd.fake.shapes import ROOT
from compose_agent.dockerd.fake.store import no_such_image

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.core import Core

Json = dict[str, Any]
_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$")


def create(core: Core, name: str, body: Json) -> Container:
    """Make a container that waits to be started; raise 400, 404 or 409 with the Engine's words."""
    with core.changed:
        container = _container(core, name, body)
        core.store.containers[container.id] = container
        core.events.container(container, "create")
        return container


def remove_anonymous_volumes(core: Core, container: Container) -> None:
    """Remove the volumes that a container which is gone had without a name, but for those others have too."""
    host = container.host_config
    named = {bind.partition(":")[0] for bind in host["Binds"] or []}
    named |= {each.get("Source") for each in host.get("Mounts") or []}
    with core.changed:
        others = [mount for one in core.store.containers.values() for mount in one.mounts]
        kept = named | {mount.get("Name") for mount in others}
        for mount in container.mounts:
            if mount["Type"] == "volume" and mount["Name"] not in kept:
                del core.store.volumes[mount["Name"]]
                core.events.publish("volume", "destroy", mount["Name"], {"driver": "local"})


def _container(core: Core, name: str, body: Json) -> Container:
    container_id = new_id()
    name = _checked_name(core, name or f"fake_{container_id[:8]}")
    reference = body.get("Image") or ""
    image = core.store.image(reference) if reference else None
    if image is None:
        raise ApiError(404, no_such_image(reference))
    if not body.get("Cmd") and not body.get("Entrypoint"):
        raise ApiError(400, "no command specified" if core.dialect.modern else "No command specified")
    host = templates.host_config(core.dialect, body.get("HostConfig") or {})
    return Container(
        id=container_id,
        name=name,
        created_ns=core.clock.time_ns(),
        image=reference,
        image_id=image.id,
        config=templates.config(container_id, body),
        host_config=host,
        networks=_networks(host["NetworkMode"], body.get("NetworkingConfig")),
        mounts=_mounts(core, body, host),
    )


def _checked_name(core: Core, name: str) -> str:
    if not _NAME.match(name):
        raise ApiError(400, f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    core.store.refuse_taken(name.removeprefix("/"))
    return name.removeprefix("/")


def _networks(mode: str, networking: Json | None) -> dict[str, Json]:
    if mode.startswith("container:"):
        return {}
    given = (networking or {}).get("EndpointsConfig") or {}
    first = "bridge" if mode == "default" else mode
    return {first: given.get(first) or {}} | {name: config or {} for name, config in given.items()}


def _mounts(core: Core, body: Json, host: Json) -> list[Json]:
    """Return the mounts that were asked for, and a volume without a name for each other one of the body."""
    made = [_mount(core, bind) for bind in host["Binds"] or []]
    for each in host.get("Mounts") or []:
        source = each.get("Source") or new_id()
        made.append(_mount(core, f"{source}:{each['Target']}:{'ro' if each.get('ReadOnly') else ''}"))
    taken = {each["Destination"] for each in made}
    fresh = [target for target in body.get("Volumes") or {} if target not in taken]
    return made + [_mount(core, f"{new_id()}:{target}:") for target in fresh]


def _mount(core: Core, bind: str) -> Json:
    source, target, mode = [*bind.split(":"), "", ""][:3]
    writable = "ro" not in mode.split(",")
    if source.startswith("/"):
        shape = {"Type": "bind", "Source": source, "Destination": target, "Mode": mode}
        return shape | {"RW": writable, "Propagation": "rprivate"}
    if source not in core.store.volumes:
        core.store.volumes[source] = Volume(source, core.clock.time_ns())
        core.events.publish("volume", "create", source, {"driver": "local"})
    return {
        "Type": "volume",
        "Name": source,
        "Source": f"{ROOT}/volumes/{source}/_data",
        "Destination": target,
        "Driver": "local",
        "Mode": mode or "z",
        "RW": writable,
        "Propagation": "",
    }
