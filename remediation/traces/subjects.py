"""What an action is done to, as attributes of its spans."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from compose_agent.dockerd.model import Container
from compose_agent.tracing import attributes as names
from compose_agent.tracing.containers import about_container, about_service
from remediation.model import Intent, TargetKind


class Subjects:
    """Looks targets up among the ``containers`` there are at that moment."""

    def __init__(self, containers: Callable[[], Iterable[Container]]) -> None:
        self._containers = containers

    def of(self, intent: Intent) -> Mapping[str, Any]:
        """Return the attributes of an intent's target; of a container that is gone, what is known of it."""
        name = intent.target.name
        if intent.target.kind is TargetKind.SERVICE and "/" in name:
            project, _, service = name.partition("/")
            return about_service(project, service)
        if intent.target.kind is not TargetKind.CONTAINER:
            return {}
        asked = {each.get("target") for each in intent.facts.get("requests", ())}
        found = self._find(asked, name)
        return about_container(found) if found else {names.CONTAINER_NAME: name}

    def _find(self, ids: Collection[str], name: str) -> Container | None:
        """Return the container that was acted on, or else the one that is called so now."""
        successor = None
        for each in self._containers():
            if each.id in ids:
                return each
            if each.name == name:
                successor = each
        return successor
