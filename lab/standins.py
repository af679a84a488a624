"""The images of docker-compose.yml on a host that cannot pull: from Debian's packages, under the same tags.

::

    python -m lab.standins        on the Engine of DOCKER_HOST, what compose/offline.yml needs

Prometheus, Alertmanager and busybox are the real programs, packaged by Debian instead of their makers:
with the same paths, users and default arguments as in the official images.  What no distribution has
(Grafana, Elasticsearch and the like) has no stand-in.

Traps this module knows about:

- The programs are linked with libc, so they stand on the base of lab.image and not on an empty image.
- Alertmanager of Debian reads its templates from ``/usr/share/prometheus`` and does not start without.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import yaml

from lab import LabError, busybox, image, packages
from lab.packages import progress

COMPOSE_FILE = Path(__file__).resolve().parent.parent / "docker-compose.yml"
# Debian's suite with the programs' present lines.
_SUITE = "forky"
_CALL_TIMEOUT_S = 300

_PROMETHEUS = f"""
FROM {image.BASE}
COPY bin /bin
COPY share /usr/share/prometheus
RUN install -d -o 65534 -g 65534 /prometheus
USER 65534
WORKDIR /prometheus
EXPOSE 9090
VOLUME ["/prometheus"]
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""
_ALERTMANAGER = f"""
FROM {image.BASE}
COPY bin /bin
COPY share /usr/share/prometheus
RUN install -d -o 65534 -g 65534 /alertmanager
USER 65534
WORKDIR /alertmanager
EXPOSE 9093
VOLUME ["/alertmanager"]
ENTRYPOINT ["/bin/alertmanager"]
CMD ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]
"""


@dataclass(frozen=True, slots=True)
class _Recipe:
    """A Dockerfile, the packages that its files come from, and their programs by the names in the image."""

    dockerfile: str
    packages: tuple[str, ...]
    programs: Mapping[str, str]


_RECIPES = {
    "prometheus": _Recipe(
        _PROMETHEUS, ("prometheus", "promtool"), {"prometheus": "prometheus", "promtool": "promtool"}
    ),
    "alertmanager": _Recipe(
        _ALERTMANAGER,
        ("prometheus-alertmanager",),
        {"alertmanager": "prometheus-alertmanager", "amtool": "amtool"},
    ),
}


@dataclass(frozen=True, slots=True)
class HostEngine:
    """The Engine of this shell's environment, as lab.image wants one."""

    host: str
    environment: dict[str, str]


def ensure(client: docker.DockerClient, base: image.Engine) -> list[str]:
    """Make those images that the Engine does not have, and return the tags of all."""
    image.import_base(base)
    tags = tags_of_services()
    for name, recipe in _RECIPES.items():
        if not _is_there(client, tags[name]):
            progress(f"making {tags[name]}")
            client.images.build(fileobj=_context(recipe), custom_context=True, tag=tags[name], rm=True)
    busybox.ensure_image(client, tags["demo-web"])
    return [tags[name] for name in (*_RECIPES, "demo-web")]


def tags_of_services(path: Path = COMPOSE_FILE) -> dict[str, str]:
    """Return the image of each service of the Compose file."""
    services = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    return {name: service["image"] for name, service in services.items()}


def _is_there(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return False
    return True


def _context(recipe: _Recipe) -> io.BytesIO:
    """Return what the recipe's Dockerfile copies, as a tar archive."""
    buffer = io.BytesIO()
    trees = [packages.unpack([name], _SUITE) / "usr" for name in recipe.packages]
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        dockerfile = tarfile.TarInfo("Dockerfile")
        dockerfile.size = len(recipe.dockerfile.encode())
        tar.addfile(dockerfile, io.BytesIO(recipe.dockerfile.encode()))
        for name, packaged in recipe.programs.items():
            (program,) = [tree / "bin" / packaged for tree in trees if (tree / "bin" / packaged).is_file()][
                :1
            ]
            tar.add(program, f"bin/{name}")
        for share in (tree / "share" / "prometheus" for tree in trees):
            if share.is_dir():
                tar.add(share, "share")
    buffer.seek(0)
    return buffer


def main() -> int:
    """Make the images on the Engine of the environment, and return the exit status."""
    try:
        with closing(docker.from_env(timeout=_CALL_TIMEOUT_S)) as client:
            engine = HostEngine(
                os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"), dict(os.environ)
            )
            tags = [*ensure(client, engine), image.build(engine, "custom/compose-agent:latest")]
    except (LabError, docker.errors.DockerException) as error:
        print(f"offline-images: {error}", file=sys.stderr)
        return 1
    print("\n".join(tags))
    return 0


if __name__ == "__main__":
    sys.exit(main())
