"""Containers, images, networks and volumes by the names that the API takes for them."""

from __future__ import annotations

from compose_agent.dockerd.fake.dialect import Dialect
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.model import Command, Container, Image, Network, Volume, new_id


class Store:
    """Everything the Engine has, found by id, name or unambiguous beginning of an id."""

    def __init__(self, dialect: Dialect, now_ns: int) -> None:
        self._dialect = dialect
        self.containers: dict[str, Container] = {}
        self.images: dict[str, Image] = {}
        self.volumes: dict[str, Volume] = {}
        self.commands: dict[str, Command] = {}
        drivers = {"none": "null", "host": "host", "bridge": "bridge"}
        self.networks = {name: Network(new_id(), name, driver, now_ns) for name, driver in drivers.items()}

    def container(self, reference: str) -> Container:
        """Return the container that ``reference`` stands for; raise 404, or 400 when it could be several."""
        found = self.containers.get(reference) or self.container_named(reference)
        if found is not None:
            return found
        matches = [one for one in self.containers.values() if one.id.startswith(reference)]
        if len(matches) > 1:
            word = "multiple" if self._dialect.modern else "Multiple"
            raise ApiError(400, f"{word} IDs found with provided prefix: {reference}")
        if not matches:
            raise ApiError(404, f"No such container: {reference}")
        return matches[0]

    def container_named(self, name: str) -> Container | None:
        """Return the container of that name, with or without its slash."""
        wanted = name.removeprefix("/")
        return next((one for one in self.containers.values() if one.name == wanted), None)

    def refuse_taken(self, name: str) -> None:
        """Raise 409 when a container already has that name."""
        holder = self.container_named(name)
        if holder is not None:
            raise ApiError(
                409,
                f'Conflict. The container name "/{name}" is already in use by container "{holder.id}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
            )

    def command(self, reference: str) -> Command:
        """Return what ``exec`` has prepared under that id; raise 404, also when its container is gone."""
        found = self.commands.get(reference)
        if found is None or found.container.removed:
            raise ApiError(404, f"No such exec instance: {reference}")
        return found

    def image(self, reference: str) -> Image | None:
        """Return the image of that tag or id."""
        tag = _with_tag(reference)
        for image in self.images.values():
            if tag == image.tag or image.id.removeprefix("sha256:").startswith(
                reference.removeprefix("sha256:")
            ):
                return image
        return None

    def add_image(self, tag: str, now_ns: int) -> Image:
        """Return the image of that tag, made when there was none."""
        image = self.image(tag) or Image(f"sha256:{new_id()}", _with_tag(tag), now_ns)
        return self.images.setdefault(image.id, image)

    def network(self, reference: str) -> Network:
        """Return the network of that name or id; raise 404."""
        for network in self.networks.values():
            if reference == network.name or network.id.startswith(reference):
                return network
        raise ApiError(404, f"network {reference} not found")

    def volume(self, name: str) -> Volume:
        """Return the volume of that name; raise 404."""
        if name not in self.volumes:
            raise ApiError(404, f"get {name}: no such volume")
        return self.volumes[name]

    def members(self, network: Network) -> list[Container]:
        """Return the running containers on a network."""
        return [one for one in self.containers.values() if network.name in one.networks and one.state.running]


def no_such_image(reference: str) -> str:
    """Return the Engine's words for an image it does not have."""
    return f"No such image: {_with_tag(reference)}"


def _with_tag(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] or "@" in reference else f"{reference}:latest"
