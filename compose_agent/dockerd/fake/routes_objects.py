"""Images, networks and volumes, as far as an agent asks about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose_agent.dockerd.fake import system
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.filters import parse_filters
from compose_agent.dockerd.fake.model import Network, Volume, new_id
from compose_agent.dockerd.fake.routes import Call, Route
from compose_agent.dockerd.fake.store import no_such_image
from compose_agent.dockerd.fake.wire import Response, json_response

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.core import Core


def images(call: Call) -> Response:
    """Answer the images."""
    with call.core.changed:
        view = call.core.view(call.request.version)
        return json_response([system.image_item(image, view) for image in call.core.store.images.values()])


def image(call: Call) -> Response:
    """Answer one image."""
    with call.core.changed:
        found = call.core.store.image(call.reference)
        if found is None:
            words = no_such_image(call.reference)
            raise ApiError(
                404, words if call.core.dialect.modern else f"no such image: {call.reference}: {words}"
            )
        return json_response(system.image_inspect(found))


def networks(call: Call) -> Response:
    """Answer the networks, those of a label or name when filtered so."""
    filters = parse_filters(call.request.query.get("filters", ""), call.core.dialect)
    names = filters.get("name", [""])
    with call.core.changed:
        chosen = [one for one in call.core.store.networks.values() if any(name in one.name for name in names)]
        return json_response([system.network(one, call.core.store, members=False) for one in chosen])


def network(call: Call) -> Response:
    """Answer one network, with the running containers on it."""
    with call.core.changed:
        return json_response(
            system.network(call.core.store.network(call.reference), call.core.store, members=True)
        )


def create_network(call: Call) -> Response:
    """Make a network."""
    body = call.request.json(call.core.dialect)
    driver = body.get("Driver") or "bridge"
    with call.core.changed:
        name = body.get("Name") or ""
        if name in call.core.store.networks:
            raise ApiError(409, f"network with name {name} already exists")
        made = Network(new_id(), name, driver, call.core.clock.time_ns(), body.get("Labels") or {})
        call.core.store.networks[name] = made
        call.core.events.publish("network", "create", made.id, {"name": name, "type": driver})
    return json_response({"Id": made.id, "Warning": ""}, 201)


def delete_network(call: Call) -> Response:
    """Remove a network that nobody is on."""
    with call.core.changed:
        found = call.core.store.network(call.reference)
        if call.core.store.members(found):
            raise ApiError(403, f"error while removing network: network {found.name} has active endpoints")
        del call.core.store.networks[found.name]
        call.core.events.publish("network", "destroy", found.id, {"name": found.name, "type": found.driver})
    return Response(204)


def connect(call: Call) -> Response:
    """Put a container on a network."""
    body = call.request.json(call.core.dialect)
    with call.core.changed:
        found = call.core.store.network(call.reference)
        container = call.core.store.container(str(body.get("Container", "")))
        if found.name in container.networks:
            words = f"endpoint with name {container.name} already exists in network {found.name}"
            raise ApiError(403, words)
        container.networks = container.networks | {found.name: body.get("EndpointConfig") or {}}
        _tell(call.core, found, "connect", container.id)
    return Response(200)


def disconnect(call: Call) -> Response:
    """Take a container off a network."""
    body = call.request.json(call.core.dialect)
    with call.core.changed:
        found = call.core.store.network(call.reference)
        container = call.core.store.container(str(body.get("Container", "")))
        if found.name not in container.networks:
            raise ApiError(403, f"container {container.id} is not connected to network {found.name}")
        container.networks = {name: one for name, one in container.networks.items() if name != found.name}
        _tell(call.core, found, "disconnect", container.id)
    return Response(200)


def volumes(call: Call) -> Response:
    """Answer the volumes."""
    with call.core.changed:
        shapes = [system.volume(one) for one in call.core.store.volumes.values()]
    return json_response({"Volumes": shapes, "Warnings": None})


def volume(call: Call) -> Response:
    """Answer one volume."""
    with call.core.changed:
        return json_response(system.volume(call.core.store.volume(call.reference)))


def create_volume(call: Call) -> Response:
    """Make a volume, or answer the one of that name."""
    body = call.request.json(call.core.dialect)
    name = body.get("Name") or new_id()
    with call.core.changed:
        if name not in call.core.store.volumes:
            call.core.store.volumes[name] = Volume(name, call.core.clock.time_ns(), body.get("Labels"))
            call.core.events.publish("volume", "create", name, {"driver": "local"})
        return json_response(system.volume(call.core.store.volumes[name]), 201)


def delete_volume(call: Call) -> Response:
    """Remove a volume that no container has."""
    with call.core.changed:
        found = call.core.store.volume(call.reference)
        users = [
            one.id
            for one in call.core.store.containers.values()
            if any(mount.get("Name") == found.name for mount in one.mounts)
        ]
        if users:
            raise ApiError(409, f"remove {found.name}: volume is in use - [{', '.join(users)}]")
        del call.core.store.volumes[found.name]
        call.core.events.publish("volume", "destroy", found.name, {"driver": "local"})
    return Response(204)


def _tell(core: Core, found: Network, action: str, container_id: str) -> None:
    details = {"container": container_id, "name": found.name, "type": found.driver}
    core.events.publish("network", action, found.id, details)


ROUTES = (
    Route("GET", "/images/json", images),
    Route("GET", "/images/{name}/json", image),
    Route("GET", "/networks", networks),
    Route("POST", "/networks/create", create_network),
    Route("POST", "/networks/{id}/connect", connect),
    Route("POST", "/networks/{id}/disconnect", disconnect),
    Route("GET", "/networks/{id}", network),
    Route("DELETE", "/networks/{id}", delete_network),
    Route("GET", "/volumes", volumes),
    Route("POST", "/volumes/create", create_volume),
    Route("GET", "/volumes/{name}", volume),
    Route("DELETE", "/volumes/{name}", delete_volume),
)
