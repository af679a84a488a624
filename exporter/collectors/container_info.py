"""What a container is: everything that would be too much on each of its series."""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate

from compose_agent.dockerd.model import Container
from exporter.families import Family, InventoryCollector, Values
from exporter.settings import ExporterSettings

_INVALID = re.compile(r"[^a-zA-Z0-9_]")


def make(settings: ExporterSettings) -> Callable[[Container], Values]:
    """Return the collector for the container labels that the settings let through."""
    globs = settings.container_labels
    wanted = re.compile("|".join(map(translate, globs))) if globs else None

    def values(container: Container) -> Values:
        chosen = {key: text for key, text in container.labels.items() if wanted and wanted.match(key)}
        return ({(*_facts(container), *label_pairs(chosen)): 1},)

    return values


def _facts(container: Container) -> Sequence[tuple[str, str]]:
    return (
        ("image", container.image),
        ("image_id", container.image_id),
        ("compose_number", container.compose_number),
        ("restart_policy", container.restart_policy),
        ("network_mode", container.network_mode),
        ("log_driver", container.log_driver),
    )


def label_pairs(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return ``label_NAME`` pairs sorted by name; of two keys that give one name the first key wins."""
    pairs: dict[str, str] = {}
    for key in sorted(labels):
        pairs.setdefault("label_" + _INVALID.sub("_", key), labels[key])
    return list(pairs.items())


COLLECTOR = InventoryCollector(
    name="container-info",
    help="image, restart policy and chosen labels of containers",
    families=(
        Family(
            "docker_container_info",
            "info",
            "What the container is, in its labels: image, image_id, compose_number, restart_policy, "
            "network_mode, log_driver, and label_NAME for labels that the settings let through; always 1.",
        ),
    ),
    make=make,
)
