"""How spans name a container."""

from __future__ import annotations

from typing import Any

from compose_agent.dockerd.model import Container
from compose_agent.tracing import attributes as names


def about_container(container: Container) -> dict[str, Any]:
    """Return the attributes by which a container is found, with Compose project and service if any."""
    about = {
        names.CONTAINER_ID: container.id,
        names.CONTAINER_NAME: container.name,
        names.COMPOSE_PROJECT: container.compose_project,
        names.COMPOSE_SERVICE: container.compose_service,
    }
    return {name: value for name, value in about.items() if value}


def about_service(project: str, service: str) -> dict[str, Any]:
    """Return the attributes of a Compose service."""
    return {names.COMPOSE_PROJECT: project, names.COMPOSE_SERVICE: service}
